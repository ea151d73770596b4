package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.data.Batch;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import java.util.ArrayList;
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
        input, labels(backend, arena, batch), mask.reshape(batch.mask().length), tokens);
  }

  /** A batch without a label gets one position that is ignored, since kernels want rows. */
  private static CausalLoss.Labels labels(Backend backend, Arena arena, Batch batch) {
    var rows = new ArrayList<Integer>();
    for (int row = 0; row < batch.rows(); row++) {
      for (int at = row * batch.length() + 1; at < (row + 1) * batch.length(); at++) {
        if (batch.labels()[at] >= 0) {
          rows.add(at - 1);
        }
      }
    }
    int count = rows.size();
    int[] before = count == 0 ? new int[1] : rows.stream().mapToInt(Integer::intValue).toArray();
    int[] targets = new int[before.length];
    for (int i = 0; i < targets.length; i++) {
      targets[i] = count == 0 ? -100 : batch.labels()[before[i] + 1];
    }
    return new CausalLoss.Labels(
        backend.ints(arena, before, before.length),
        backend.ints(arena, targets, targets.length),
        count);
  }
}
