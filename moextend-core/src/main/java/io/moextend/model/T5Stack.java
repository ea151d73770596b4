package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.T5Config;
import io.moextend.nn.SitePass;
import io.moextend.op.Dropout;
import io.moextend.op.RelativeBias;
import io.moextend.op.RmsNorm;
import io.moextend.op.Rows;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A T5's encoder, or its decoder: embed, the layers, the last norm.
 *
 * @param name "encoder" or "decoder"
 * @param first number of its first layer among those of both
 * @param buckets what every bucket of distances adds to scores, [buckets, heads]
 */
record T5Stack(
    String name,
    T5Config config,
    int first,
    List<T5Layer> layers,
    Parameter embedding,
    Parameter buckets,
    Parameter norm) {
  static final String ENCODER = "encoder";
  static final String DECODER = "decoder";

  T5Stack {
    layers = List.copyOf(layers);
  }

  /**
   * What is run.
   *
   * @param ids [batch·length]
   * @param before tokens of the sequence that were run earlier, and that a cache knows
   * @param memory what the encoder gave; null in the encoder, and where a cache has what is made of
   *     it
   * @param contexts of each layer, all with the same padding
   */
  @SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
  record Given(
      int[] ids,
      int length,
      int before,
      @Nullable Tensor memory,
      IntFunction<T5Layer.Context> contexts) {}

  /**
   * @return [batch·length, hidden] after the last norm, 0 at padding
   */
  Tensor run(Tape tape, Given given, T5.Pass pass, LayerResidency residency) {
    Watch watch = pass.watch();
    Array rows = tape.backend().ints(tape.arena(), given.ids, given.ids.length);
    Tensor h = dropped(tape, Rows.gather(tape, embedding, rows), ".embedded", given, pass);
    watch.see(name + "_hidden.0", h.data());
    Tensor bias = bias(tape, given);
    for (int i = 0; i < layers.size(); i++) {
      h = tape.milestone(h, first + i + 1);
      residency.enter(first + i);
      List<Tensor> in = given.memory == null ? List.of(h, bias) : List.of(h, bias, given.memory);
      h = layer(tape, layers.get(i), in, given.contexts.apply(i), pass);
      watch.see(name + "_hidden." + (i + 1), h.data());
    }
    if (name.equals(DECODER)) {
      h = tape.milestone(h, first + layers.size() + 1);
    }
    Tensor normed =
        dropped(tape, RmsNorm.apply(tape, h, norm, config.normEps()), ".output", given, pass);
    Tensor last = given.contexts.apply(0).kept(tape, normed);
    watch.see(name + "_output", last.data());
    return last;
  }

  /** [heads, queries, keys] wide, of the pass's tokens as queries and all so far as keys. */
  private Tensor bias(Tape tape, Given given) {
    var shares = new T5Buckets(config.buckets(), config.maxDistance(), name.equals(ENCODER));
    int[] pairs = shares.table(given.before, given.length);
    int keys = given.before + given.length;
    return tape.scope(s -> s.keep(RelativeBias.apply(tape, buckets, pairs, given.length, keys)));
  }

  private Tensor dropped(Tape tape, Tensor x, String place, Given given, T5.Pass pass) {
    Dropout dropout = pass.dropout();
    return dropout == null ? x : dropout.at(name + place).features(tape, x, given.length);
  }

  /**
   * @param in the hidden state, the bias and, where it is read, what the encoder gave
   */
  private static Tensor layer(
      Tape tape, T5Layer layer, List<Tensor> in, T5Layer.Context context, T5.Pass pass) {
    var modules = new ArrayList<String>();
    Tape.Segment segment =
        (t, inputs) -> {
          modules.clear();
          var outs = new ArrayList<Tensor>();
          SitePass sites = gathering(pass, modules, outs);
          Tensor memory = inputs.size() > 2 ? inputs.get(2) : null;
          Tensor h =
              layer.forward(
                  t, inputs.get(0), memory, inputs.get(1), context, sites, pass.dropout());
          outs.addFirst(h);
          return outs;
        };
    List<Tensor> outs =
        pass.checkpointing()
            ? tape.checkpoint(in, segment)
            : tape.scope(
                s -> {
                  List<Tensor> made = segment.run(tape, in);
                  made.forEach(s::keep);
                  return made;
                });
    for (int i = 0; i < modules.size(); i++) {
      pass.sites().routed().accept(modules.get(i), outs.get(i + 1));
    }
    return outs.getFirst();
  }

  /** What routers decide leaves the layer among its outputs, since it may run twice. */
  private static SitePass gathering(T5.Pass pass, List<String> modules, List<Tensor> routed) {
    return new SitePass(
        pass.checkpointing() ? SitePass.NOBODY : pass.sites().watch(),
        (module, probabilities) -> {
          modules.add(module);
          routed.add(probabilities);
        },
        pass.sites().noise());
  }
}
