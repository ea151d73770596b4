package io.moextend.stage;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.data.Batch;
import io.moextend.data.ComingBatch;
import io.moextend.data.DataException;
import io.moextend.data.FirstTurns;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import io.moextend.model.Routing;
import io.moextend.model.Watch;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * Runs a model over texts and counts the experts its routers choose, or in the published mode the
 * least likely ones. The slots that image patches overwrite are image tokens; all others are text,
 * also {@code <image>} and {@code </image>}, whose embeddings are learnt like a word's. Padding is
 * not counted, and being to the right of a causal model's text it changes nothing.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, section 3.2; the published
 *     expert_distribution.py
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

  private final Backend backend;
  private final Decoder model;
  private final FeedForwardConfig.Experts experts;
  private final CountingMode mode;

  /**
   * @throws ConfigException where the model is no mixture of experts, or has added experts
   */
  public RoutingCounter(Backend backend, Decoder model, CountingMode mode) {
    this.backend = backend;
    this.model = model;
    this.experts = experts(model.config());
    this.mode = mode;
  }

  /**
   * What a model must be to be counted: a mixture whose layers all have the same experts.
   *
   * @throws ConfigException where it is none
   */
  public static FeedForwardConfig.Experts experts(DecoderConfig config) {
    return switch (config.feedForward()) {
      case FeedForwardConfig.Dense _ ->
          throw new ConfigException(
              "model_type",
              config.modelType(),
              "a mixture of experts is wanted; a dense model routes nothing");
      case FeedForwardConfig.Mixed m ->
          throw new ConfigException(
              "model_type",
              config.modelType(),
              "a mixture with experts in every layer is wanted; this one has some in layers "
                  + m.layers());
      case FeedForwardConfig.Experts e when !e.extendedLayers().isEmpty() ->
          throw new ConfigException(
              "add_layer",
              e.extendedLayers(),
              "the model has added experts already; count the ones before and after its extension"
                  + " stage");
      case FeedForwardConfig.Experts e -> e;
    };
  }

  /**
   * Counts all samples. The next batch is read while one is run.
   *
   * @param rows samples of a batch
   * @throws DataException if a sample or an image cannot be read
   */
  public RoutingCensus count(FirstTurns texts, int rows, Listener listener) {
    var census = new RoutingCensus(model.config().layers(), experts.count());
    List<int[]> batches = texts.batches(rows);
    try (ExecutorService reader =
        Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("data").factory())) {
      var coming = ComingBatch.of(() -> texts.batch(batches.getFirst()), reader);
      for (int i = 0; i < batches.size(); i++) {
        Batch batch = coming.await();
        if (i + 1 < batches.size()) {
          int[] next = batches.get(i + 1);
          coming = ComingBatch.of(() -> texts.batch(next), reader);
        }
        listener.counted(batch.rows(), count(batch, census));
      }
    }
    return census;
  }

  /**
   * Counts one batch.
   *
   * @return its tokens, padding not among them
   */
  public long count(Batch batch, RoutingCensus census) {
    int[] imagePositions = batch.imagePositions();
    BitSet counted = seen(batch);
    var image = new BitSet();
    for (int position : imagePositions) {
      image.set(position);
    }
    try (Arena arena = backend.arena("routing census")) {
      Decoder.Output output =
          model.forward(
              Tape.off(backend, arena), input(arena, batch, imagePositions), false, Watch.NONE);
      for (Routing routing : output.routings()) {
        int[] chosen = backend.toInts(chosen(arena, routing));
        census.addTokens(routing.layer(), chosen, experts.topK(), counted, image);
      }
    }
    return counted.cardinality();
  }

  private Array chosen(Arena arena, Routing routing) {
    return switch (mode) {
      case PAPER -> routing.chosen();
      case AS_PUBLISHED ->
          backend.topK(
              arena, backend.scale(arena, routing.probabilities().data(), -1), experts.topK());
    };
  }

  private ModelInput input(Arena arena, Batch batch, int[] imagePositions) {
    return new ModelInput(
        batch.rows(),
        batch.length(),
        backend.ints(arena, batch.ids(), batch.ids().length),
        backend.bytes(arena, batch.mask(), batch.rows(), batch.length()),
        images(arena, batch, imagePositions),
        List.of());
  }

  private ModelInput.@Nullable Images images(Arena arena, Batch batch, int[] imagePositions) {
    if (batch.images().isEmpty()) {
      return null;
    }
    int size = batch.imageSize();
    return new ModelInput.Images.Pixels(
        backend.floats(arena, model.dtype(), batch.pixels(), batch.images().size(), 3, size, size),
        backend.ints(arena, imagePositions, imagePositions.length));
  }

  private static BitSet seen(Batch batch) {
    var seen = new BitSet();
    for (int t = 0; t < batch.mask().length; t++) {
      seen.set(t, batch.mask()[t] != 0);
    }
    return seen;
  }
}
