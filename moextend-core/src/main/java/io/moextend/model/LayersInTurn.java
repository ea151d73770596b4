package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Runs a model whose layers together need not fit into memory: a layer's matrices are converted
 * from the checkpoint when it is entered and forgotten when the next one is. Forward alone.
 */
final class LayersInTurn implements LayerResidency, AutoCloseable {
  private final Backend backend;
  private final List<List<Weight>> weights;
  private final Map<Parameter, Array> stored = new LinkedHashMap<>();
  private int here = -1;
  private @Nullable Arena arena;

  /** Takes over the matrices in layers of a decoder that was loaded without them. */
  LayersInTurn(Backend backend, Decoder decoder) {
    this.backend = backend;
    this.weights = decoder.layerWeights();
    weights.forEach(
        layer -> passing(layer).forEach(parameter -> stored.put(parameter, parameter.initial())));
    decoder.residency(this);
  }

  private static List<Parameter> passing(List<Weight> layer) {
    var found = new ArrayList<Parameter>();
    layer.forEach(w -> w.parts().stream().filter(Parameter::isPassing).forEach(found::add));
    return found;
  }

  @Override
  public GradientSink training(GradientSink gradients) {
    throw new IllegalStateException("a model whose layers come in turn does not train");
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // kept, and closed by finish()
  public void enter(int layer) {
    finish();
    here = layer;
    Arena own = backend.arena("layer " + layer);
    arena = own;
    for (Parameter parameter : passing(weights.get(layer))) {
      Array values = stored.get(parameter);
      if (values == null) {
        throw new IllegalStateException(parameter + " passes, but was not taken over");
      }
      parameter.place(
          values.dtype() == parameter.dtype()
              ? values
              : backend.cast(own, values, parameter.dtype()));
    }
  }

  @Override
  public void finish() {
    Arena own = arena;
    if (own == null) {
      return;
    }
    weights.get(here).forEach(Weight::evict);
    passing(weights.get(here)).forEach(Parameter::evict);
    own.close();
    arena = null;
  }

  @Override
  public void close() {
    finish();
  }
}
