/** Trainable parameters as slices of flat buffers: gradients, masters, optimizer state. */
@NullMarked
package io.moextend.shard;

import org.jspecify.annotations.NullMarked;
