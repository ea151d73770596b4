/**
 * Ranks that talk to each other: collectives, the wires below them, and how ranks find each other.
 */
@NullMarked
package io.moextend.comm;

import org.jspecify.annotations.NullMarked;
