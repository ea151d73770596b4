/** The seam to a device: memory and the few fused kernels that a model needs. */
@NullMarked
package io.moextend.backend;

import org.jspecify.annotations.NullMarked;
