package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.data.Batch;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A batch's arrays in the step's arena. T = rows · length.
 *
 * @param counted [T] U8, the attention mask, which is also what counts for load balance
 * @param tokens that are not masked
 */
public record BatchOnDevice(
    ModelInput input, CausalLoss.Labels labels, Array counted, long tokens) {
  /**
   * @param images what stands in the image slots, null where the batch has none
   */
  public static BatchOnDevice of(
      Backend backend, Arena arena, Batch batch, ModelInput.@Nullable Images images) {
    Array mask = backend.bytes(arena, batch.mask(), batch.rows(), batch.length());
    var input =
        new ModelInput(
            batch.rows(),
            batch.length(),
            backend.ints(arena, batch.ids(), batch.ids().length),
            mask,
            images,
            List.of());
    long tokens = 0;
    for (byte seen : batch.mask()) {
      tokens += seen;
    }
    return new BatchOnDevice(
        input,
        CausalLoss.Labels.of(backend, arena, batch.labels(), batch.length()),
        mask.reshape(batch.mask().length),
        tokens);
  }
}
