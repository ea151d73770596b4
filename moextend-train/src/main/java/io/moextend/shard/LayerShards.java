package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.model.Decoder;
import io.moextend.model.LayerResidency;
import io.moextend.model.ParameterChoice;
import io.moextend.op.Weight;
import io.moextend.shard.ParameterLayout.Bucket;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Decoder layers whose weights are cut into pieces, one on each rank, and gathered layer by layer
 * while the layer before still computes (ZeRO-3). Sharded are all weights of the layers that train
 * and, if wanted, the matrices that do not. What lies outside the layers (embedding, head, vision
 * tower, projector) and frozen norms stay whole on every rank: they are small, and a rank whose
 * batch has no image must not be waited for.
 *
 * <p>What is gathered when follows from the model and from what trains, never from a rank's batch:
 * forward each layer in order; backward each layer down to the lowest that gradients can reach,
 * told by the tape's milestones, and made up for at the end of the pass where no gradient flowed.
 * At most two layers are whole or on their way.
 *
 * @see <a href="https://arxiv.org/abs/1910.02054">ZeRO</a>, section 5.3
 */
public final class LayerShards implements LayerResidency, WeightPieces, AutoCloseable {
  private enum State {
    ABSENT,
    COMING,
    HERE
  }

  private final Backend backend;
  private final Conversation conversation;
  private final Arena arena;
  private final GatheredUnits trained;
  private final List<GatheredUnits> kinds;
  private final List<List<Weight>> weights = new ArrayList<>();
  private final State[] states;
  private final int lowest;
  private @Nullable GradientSink gradients;
  private int nextUnit = -1;

  /**
   * Takes over the layers' weights, of which this rank then keeps its pieces alone, and sees to the
   * decoder's residency. A collective call.
   *
   * @param conversation not owned; closed after this
   * @param loaded owns weights that were copied when the model was loaded; they are given back
   * @param layout of what trains, with each layer in a bucket of its own (bucketBytes 0)
   * @param sharded which of the layers' frozen matrices are cut too
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena is closed with this
  public LayerShards(
      Backend backend,
      Conversation conversation,
      Decoder decoder,
      Arena loaded,
      ParameterLayout layout,
      ParameterChoice sharded) {
    this.backend = backend;
    this.conversation = conversation;
    this.arena = backend.arena("layer pieces");
    List<List<Weight>> all = decoder.layerWeights();
    this.states = new State[all.size()];
    java.util.Arrays.fill(states, State.ABSENT);
    this.lowest = Math.max(0, layout.buckets().getFirst().firstUnit() - 1);
    List<FlatUnit> training = training(layout, all.size());
    List<FlatUnit> resting = all.stream().map(w -> frozenUnit(w, sharded)).toList();
    this.trained =
        new GatheredUnits(backend, conversation, arena, "trained", layout.compute(), training);
    var still =
        new GatheredUnits(backend, conversation, arena, "frozen", layout.compute(), resting);
    this.kinds = List.of(trained, still);
    for (int layer = 0; layer < all.size(); layer++) {
      takeOver(layer, all.get(layer), loaded, layout);
    }
    decoder.residency(this);
  }

  /** Trained weights by layer. */
  private static List<FlatUnit> training(ParameterLayout layout, int layers) {
    var units = new ArrayList<FlatUnit>();
    for (int layer = 0; layer < layers; layer++) {
      units.add(FlatUnit.empty());
    }
    for (Bucket bucket : layout.buckets()) {
      int layer = bucket.firstUnit() - 1;
      String prefix = "model.layers." + layer + ".";
      Predicate<ParameterLayout.Slice> within = s -> s.parameter().name().startsWith(prefix);
      if (layer >= 0 && layer < layers) {
        if (!bucket.slices().stream().allMatch(within)) {
          throw new IllegalArgumentException(
              "bucket %d has more than layer %d; weights are shared by layers with bucketBytes 0"
                  .formatted(bucket.index(), layer));
        }
        units.set(layer, FlatUnit.of(bucket));
      }
    }
    return units;
  }

  private FlatUnit frozenUnit(List<Weight> of, ParameterChoice sharded) {
    List<Parameter> parameters =
        of.stream()
            .flatMap(w -> w.parts().stream())
            .filter(p -> !p.requiresGrad() && sharded.has(p))
            .distinct()
            .toList();
    return parameters.isEmpty() ? FlatUnit.empty() : FlatUnit.of(parameters, conversation.world());
  }

  private void takeOver(int layer, List<Weight> of, Arena loaded, ParameterLayout layout) {
    Set<Parameter> taken = new HashSet<>();
    for (GatheredUnits units : kinds) {
      units.unit(layer).places().forEach(p -> taken.add(p.parameter()));
    }
    weights.add(of.stream().filter(w -> w.parts().stream().anyMatch(taken::contains)).toList());
    weights.getLast().forEach(Weight::evict);
    for (Parameter parameter : taken) {
      loaded.free(parameter.initial());
      parameter.pass(layout.compute());
    }
  }

  @Override
  public @Nullable Array of(Bucket bucket) {
    int layer = bucket.firstUnit() - 1;
    return layer >= 0 && layer < states.length ? trained.piece(layer) : null;
  }

  @Override
  public GradientSink training(GradientSink into) {
    finish();
    gradients = into;
    nextUnit = states.length + 1;
    start(0);
    return new GradientSink() {
      @Override
      public void accept(Parameter parameter, Array gradient) {
        into.accept(parameter, gradient);
      }

      @Override
      public void reached(int unit) {
        goDown(unit);
      }
    };
  }

  @Override
  public void enter(int layer) {
    if (states[layer] == State.ABSENT) {
      if (layer == 0) {
        finish();
      }
      start(layer);
    }
    land(layer);
    boolean kept = gradients != null && layer == states.length - 1 && layer - 1 >= lowest;
    if (layer > 0 && !kept) {
      release(layer - 1);
    }
    if (layer + 1 < states.length) {
      start(layer + 1);
    }
  }

  /** All that every rank does while its backward pass goes down to {@code unit}, in one order. */
  private void goDown(int unit) {
    GradientSink into = gradients;
    while (into != null && nextUnit >= unit) {
      int done = nextUnit--;
      into.reached(done);
      int layer = done - 1;
      if (layer < states.length && layer >= lowest) {
        release(layer);
        if (layer > lowest) {
          land(layer - 1);
        }
        if (layer - 1 > lowest) {
          start(layer - 2);
        }
      }
    }
  }

  @Override
  public void finish() {
    goDown(0);
    gradients = null;
    for (int layer = 0; layer < states.length; layer++) {
      land(layer);
      release(layer);
    }
  }

  private void start(int layer) {
    kinds.forEach(k -> k.start(layer));
    states[layer] = State.COMING;
  }

  private void land(int layer) {
    if (states[layer] == State.COMING) {
      kinds.forEach(k -> k.land(layer));
      states[layer] = State.HERE;
    }
  }

  private void release(int layer) {
    if (states[layer] == State.HERE) {
      weights.get(layer).forEach(Weight::evict);
      kinds.forEach(k -> k.release(layer));
      states[layer] = State.ABSENT;
    }
  }

  /**
   * Does something for which every rank has all weights that train whole, as saving them. A
   * collective call; takes as much memory as these weights meanwhile.
   *
   * @param work may be different on each rank; exchanges nothing with others about weights
   */
  public void whole(Runnable work) {
    finish();
    try (Arena copies = backend.arena("whole weights")) {
      try {
        for (int layer = 0; layer < states.length; layer++) {
          trained.copyOut(layer, copies);
        }
        work.run();
      } finally {
        for (int layer = 0; layer < states.length; layer++) {
          trained.release(layer);
        }
      }
    }
  }

  /** What the layers' weights take on this rank while no layer runs. */
  public long bytes() {
    return kinds.stream().mapToLong(GatheredUnits::bytes).sum();
  }

  @Override
  public void close() {
    conversation.quiet();
    kinds.forEach(GatheredUnits::close);
    arena.close();
  }
}
