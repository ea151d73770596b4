/** The loop, its configuration, checkpoints and metrics. */
@NullMarked
package io.moextend.train;

import org.jspecify.annotations.NullMarked;
