package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.VisionConfig;
import io.moextend.vision.ImageEncoder;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Given pixels through a frozen tower at several scales: tiles.S, what it sees at scale S,
 * tower_out.S, what it makes of them, and features, what a projector reads. Tiles are in the
 * published order, the first tile of all images first.
 *
 * @see <a href="https://arxiv.org/abs/2403.13043">When Do We Not Need Larger Vision Models?</a>
 */
public final class ScalesTrace {
  private ScalesTrace() {}

  /**
   * @param config that of the encoder, with scales
   * @param inputs pixel_values [N, C, S, S] of the largest scale
   */
  public static List<TensorData> run(
      Backend backend,
      ImageEncoder encoder,
      VisionConfig config,
      DType dtype,
      WeightSource inputs) {
    TensorData pixels = inputs.tensor("pixel_values");
    var out = new TraceOutput(backend);
    try (Arena arena = backend.arena("trace")) {
      Tape tape = Tape.off(backend, arena);
      Array on = backend.floats(arena, dtype, pixels.floats(), pixels.shape());
      int images = Math.toIntExact(on.dim(0));
      Iterator<Integer> scales = config.scales().iterator();
      Array features =
          encoder
              .features(
                  tape,
                  on,
                  states -> {
                    int scale = scales.next();
                    Array tiles = encoder.tiles(tape, on, scale);
                    long[] shape = tiles.shape();
                    out.put("tiles." + scale, turned(backend, arena, tiles, images), shape);
                    Array state = states.getLast().data();
                    out.put(
                        "tower_out." + scale,
                        turned(
                            backend,
                            arena,
                            state.reshape(shape[0], state.size() / shape[0]),
                            images),
                        shape[0],
                        state.dim(0) / shape[0],
                        state.dim(1));
                  })
              .data();
      out.put("features", features, images, features.dim(0) / images, features.dim(1));
    }
    return out.tensors();
  }

  /** From image by image to tile by tile. pieces [images·tiles, …]. */
  private static Array turned(Backend backend, Arena arena, Array pieces, int images) {
    int count = Math.toIntExact(pieces.dim(0));
    int tiles = count / images;
    int[] rows = IntStream.range(0, count).map(i -> i % images * tiles + i / images).toArray();
    Array flat = pieces.reshape(count, pieces.size() / count);
    return backend.gatherRows(arena, flat, backend.ints(arena, rows, count));
  }
}
