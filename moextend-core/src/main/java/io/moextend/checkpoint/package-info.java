/** Hugging Face checkpoints: safetensors over mapped memory, deltas, proofs. */
@NullMarked
package io.moextend.checkpoint;

import org.jspecify.annotations.NullMarked;
