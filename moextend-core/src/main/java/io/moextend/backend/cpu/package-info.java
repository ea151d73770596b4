/** The default CPU backend: oneDNN products by the foreign-function API, Vector API kernels. */
@NullMarked
package io.moextend.backend.cpu;

import org.jspecify.annotations.NullMarked;
