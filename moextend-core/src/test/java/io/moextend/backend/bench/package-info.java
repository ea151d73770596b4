/**
 * Each kernel of a backend timed alone, and the speed of the memory beside it: {@code
 * scripts/bench/kernels}.
 */
@NullMarked
package io.moextend.backend.bench;

import org.jspecify.annotations.NullMarked;
