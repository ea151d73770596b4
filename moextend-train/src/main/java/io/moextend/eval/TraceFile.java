package io.moextend.eval;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The tensors of a batch's file; what is there has the shape it should have. */
record TraceFile(WeightSource source) {
  String origin() {
    return source.origin();
  }

  boolean has(String name) {
    return source.names().contains(name);
  }

  TensorData tensor(String name) {
    return source.tensor(name);
  }

  /**
   * @return null where the file does not have it
   */
  @Nullable TensorData optional(String name) {
    return has(name) ? tensor(name) : null;
  }

  /** As {@link #optional(String)}, of the shape that input_ids have. */
  @Nullable TensorData optional(String name, int batch, int length) {
    TensorData data = optional(name);
    if (data != null && !Arrays.equals(data.shape(), new long[] {batch, length})) {
      throw wrong(
          name,
          "has shape %s, input_ids [%d, %d]"
              .formatted(Arrays.toString(data.shape()), batch, length));
    }
    return data;
  }

  /** input_ids, which is a table. */
  TensorData ids() {
    TensorData ids = tensor("input_ids");
    if (ids.shape().length != 2) {
      throw wrong(
          "input_ids", "has shape " + Arrays.toString(ids.shape()) + ", wanted [batch, length]");
    }
    return ids;
  }

  /** The pictures of a batch, under the name either published code gives them. */
  @Nullable TensorData pixels() {
    return has("images") ? tensor("images") : optional("pixel_values");
  }

  /**
   * A recorded choice of experts, layer by layer of those with experts; empty where there is none.
   */
  List<TensorData> choices() {
    var forced = new ArrayList<TensorData>();
    while (has("selected_experts." + forced.size())) {
      forced.add(tensor("selected_experts." + forced.size()));
    }
    return forced;
  }

  CheckpointException wrong(String name, String problem) {
    return CheckpointException.ofTensor(origin(), name, problem);
  }

  static int[] ints(TensorData data) {
    return Arrays.stream(data.longs()).mapToInt(Math::toIntExact).toArray();
  }

  /** 1 where there is any other number than 0. */
  static byte[] flags(TensorData data) {
    long[] values = data.longs();
    byte[] result = new byte[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (byte) (values[i] == 0 ? 0 : 1);
    }
    return result;
  }
}
