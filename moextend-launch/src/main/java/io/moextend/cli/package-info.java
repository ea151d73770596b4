/**
 * The {@code moextend} command: the one place that builds the object graph and reads the
 * environment.
 */
@NullMarked
package io.moextend.cli;

import org.jspecify.annotations.NullMarked;
