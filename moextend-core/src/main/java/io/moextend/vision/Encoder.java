package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.config.TowerConfig;
import io.moextend.nn.ParameterFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** The layers of a tower, one after the other. */
final class Encoder implements Module, AutoCloseable {
  private final TowerConfig config;
  private final List<TowerLayer> layers = new ArrayList<>();

  /**
   * @param prefix before a layer's number, with its dot: "vision_model.encoder.layers."
   */
  Encoder(ParameterFactory from, String prefix, TowerConfig config) {
    this.config = config;
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new TowerLayer(from, prefix + i, config));
    }
  }

  /**
   * @param rows of one image
   * @param upTo how many layers to run
   * @return what {@code first} gives and after it each layer's output, [N·rows, hidden]
   */
  List<Tensor> states(Tape tape, Supplier<Tensor> first, int rows, int upTo) {
    var states = new ArrayList<Tensor>();
    states.add(tape.scope(s -> s.keep(first.get())));
    int images = Math.toIntExact(states.getFirst().data().dim(0) / rows);
    Attention shape = attention(config, images, rows, rows);
    for (TowerLayer layer : layers.subList(0, upTo)) {
      Tensor x = states.getLast();
      states.add(tape.scope(s -> s.keep(layer.forward(tape, x, shape))));
    }
    return states;
  }

  /** Attention with a tower's heads, everything seen. */
  static Attention attention(TowerConfig config, int images, int queries, int keys) {
    int size = config.hidden() / config.heads();
    return new Attention(
        images, queries, keys, config.heads(), config.heads(), size, 1 / Math.sqrt(size), false, 0);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    layers.forEach(layer -> layer.visit(visitor));
  }

  @Override
  public void close() {
    layers.forEach(TowerLayer::close);
  }
}
