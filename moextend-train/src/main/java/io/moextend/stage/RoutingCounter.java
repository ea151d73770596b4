package io.moextend.stage;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.FeedForwardConfig;
import io.moextend.data.Batch;
import io.moextend.data.DataException;
import io.moextend.model.Choice;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import io.moextend.model.Routing;
import io.moextend.model.Watch;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Runs a model over texts and counts the experts its tokens go to. Padding is not counted, and
 * being to the right of a causal model's text it changes nothing.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, section 3.2; the published
 *     expert_distribution.py
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>; the published model_vqa.py, where it
 *     is commented out
 */
public final class RoutingCounter {
  /** Told after each batch. */
  @FunctionalInterface
  public interface Listener {
    /**
     * @param samples of this batch
     * @param tokens of this batch, padding not among them
     */
    void counted(int samples, long tokens);
  }

  /** Told what the model did with a batch, before its arrays are gone. */
  @FunctionalInterface
  private interface Reader {
    /**
     * @param seen the tokens that count
     */
    void read(Arena arena, Batch batch, BitSet seen, Decoder.Output output);
  }

  private final Backend backend;
  private final Decoder model;
  private final ExpertLayers layers;

  /**
   * @throws ConfigException where the model has no experts
   */
  public RoutingCounter(Backend backend, Decoder model) {
    this.backend = backend;
    this.model = model;
    this.layers = ExpertLayers.of(model.config());
  }

  /**
   * How often each expert was chosen, or in the published mode was among the least likely. The
   * slots that image patches overwrite are image tokens; all others are text, also {@code <image>}
   * and {@code </image>}, whose embeddings are learnt like a word's.
   *
   * @param batches each is read when the one before it is counted
   * @throws DataException if a sample or an image cannot be read
   */
  public RoutingCensus census(Iterable<Batch> batches, CountingMode mode, Listener listener) {
    if (mode == CountingMode.AS_PUBLISHED
        && !(model.config().feedForward() instanceof FeedForwardConfig.Experts)) {
      throw new IllegalArgumentException(
          "the least likely experts of a router by modality are those it never asks");
    }
    var census = new RoutingCensus(layers.experts());
    run(
        batches,
        listener,
        (arena, batch, seen, output) -> {
          BitSet patches = VisionTokens.PATCHES.among(batch);
          switch (mode) {
            case PAPER ->
                output.choices().forEach(c -> add(census, c.layer(), c.chosen(), seen, patches));
            case AS_PUBLISHED ->
                output
                    .routings()
                    .forEach(r -> add(census, r.layer(), leastLikely(arena, r), seen, patches));
          }
        });
    return census;
  }

  private void add(RoutingCensus census, int layer, Array chosen, BitSet seen, BitSet image) {
    census.addTokens(layer, backend.toInts(chosen), layers.topK(), seen, image);
  }

  private Array leastLikely(Arena arena, Routing routing) {
    Array upsideDown = backend.scale(arena, routing.probabilities().data(), -1);
    return backend.topK(arena, upsideDown, layers.topK());
  }

  /**
   * Who went where and with what weight, by modality and group of experts.
   *
   * @param batches each is read when the one before it is counted
   * @throws DataException if a sample or an image cannot be read
   * @throws ConfigException where a weight is no number
   */
  public RoutingStatistics statistics(Iterable<Batch> batches, Listener listener) {
    VisionTokens rule = VisionTokens.of(model.config());
    var tally = new RoutingTally(layers);
    run(
        batches,
        (samples, tokens) -> {
          tally.addSamples(samples);
          listener.counted(samples, tokens);
        },
        (arena, batch, seen, output) -> {
          BitSet vision = rule.among(batch);
          for (Choice choice : output.choices()) {
            int[] chosen = backend.toInts(choice.chosen());
            float[] weights = backend.toFloats(arena, choice.weights());
            tally.add(choice.layer(), chosen, weights, seen, vision);
          }
        });
    return tally.statistics(rule);
  }

  private void run(Iterable<Batch> batches, Listener listener, Reader reader) {
    for (Batch batch : batches) {
      BitSet seen = seen(batch);
      try (Arena arena = backend.arena("routing")) {
        Array anyRow = backend.ints(arena, new int[1], 1); // only the routing is read
        Tape tape = Tape.off(backend, arena);
        ModelInput input = input(arena, batch);
        reader.read(arena, batch, seen, model.forward(tape, input, anyRow, false, Watch.NONE));
      }
      listener.counted(batch.rows(), seen.cardinality());
    }
  }

  private ModelInput input(Arena arena, Batch batch) {
    return new ModelInput(
        batch.rows(),
        batch.length(),
        backend.ints(arena, batch.ids(), batch.ids().length),
        backend.bytes(arena, batch.mask(), batch.rows(), batch.length()),
        images(arena, batch),
        List.of());
  }

  private ModelInput.@Nullable Images images(Arena arena, Batch batch) {
    if (batch.images().isEmpty()) {
      return null;
    }
    int size = batch.imageSize();
    int[] slots = batch.imagePositions();
    return new ModelInput.Images.Pixels(
        backend.floats(arena, model.dtype(), batch.pixels(), batch.images().size(), 3, size, size),
        backend.ints(arena, slots, slots.length));
  }

  private static BitSet seen(Batch batch) {
    var seen = new BitSet();
    for (int t = 0; t < batch.mask().length; t++) {
      seen.set(t, batch.mask()[t] != 0);
    }
    return seen;
  }
}
