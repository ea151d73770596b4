/**
 * The backend for NVIDIA cards of compute capability 8.0 and later: the driver, NVRTC and cuBLASLt
 * by the foreign-function API, kernels in CUDA C among the resources, compiled where they run.
 */
@NullMarked
package io.moextend.backend.cuda;

import org.jspecify.annotations.NullMarked;
