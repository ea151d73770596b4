package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.T5Config;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import io.moextend.op.Dropout;
import io.moextend.op.Project;
import io.moextend.op.RelativeBias;
import io.moextend.op.RmsNorm;
import io.moextend.op.Rows;
import io.moextend.op.Scale;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An encoder-decoder: the encoder reads inputs, the decoder writes targets one token after the
 * other and looks at what the encoder gave; the head apart, so that it is computed only where a
 * loss or a score needs it.
 *
 * @see <a href="https://arxiv.org/abs/1910.10683">Exploring the Limits of Transfer Learning with a
 *     Unified Text-to-Text Transformer</a>
 */
public final class T5 implements Module, AutoCloseable {
  private static final String ENCODER = "encoder";
  private static final String DECODER = "decoder";

  private final T5Config config;
  private final Parameter embedding;
  private final Parameter encoderBuckets;
  private final Parameter decoderBuckets;
  private final List<T5Layer> layers = new ArrayList<>();
  private final Parameter encoderNorm;
  private final Parameter decoderNorm;
  private final Weight head;
  private LayerResidency residency = LayerResidency.EVERYWHERE;

  /**
   * @param sites which linear layers have an adapter: asked at q, k, v, o of every attention and at
   *     wi_0 (of version 1.0: wi) and wo of every network, by their module's published name
   */
  public T5(ParameterFactory from, T5Config config, Sites sites) {
    this.config = config;
    var names = new T5Names(from, config, sites);
    this.embedding = names.embedding();
    this.encoderBuckets = names.buckets(ENCODER);
    this.decoderBuckets = names.buckets(DECODER);
    for (int i = 0; i < config.encoderLayers(); i++) {
      layers.add(names.encoderLayer(i));
    }
    this.encoderNorm = names.norm("encoder.final_");
    for (int i = 0; i < config.decoderLayers(); i++) {
      layers.add(names.decoderLayer(i));
    }
    this.decoderNorm = names.norm("decoder.final_");
    this.head = names.head(embedding);
  }

  public T5Config config() {
    return config;
  }

  /** The type activations have. */
  public DType dtype() {
    return embedding.dtype();
  }

  /** Who sees to it that layers have their weights; at first all have them all the time. */
  public LayerResidency residency() {
    return residency;
  }

  public void residency(LayerResidency value) {
    residency = value;
  }

  /** What each layer multiplies with, the encoder's first. */
  public List<List<Weight>> layerWeights() {
    var weights = new ArrayList<List<Weight>>();
    for (T5Layer layer : layers) {
      var found = new ArrayList<Weight>();
      layer.visitWeights(found::add);
      weights.add(List.copyOf(found));
    }
    return weights;
  }

  /**
   * How a pass is made.
   *
   * @param checkpointing true to keep only each layer's input and run layers again in the backward
   *     pass; adapters then show nothing
   * @param dropout null outside of training
   * @param watch sees "encoder_hidden.N" and "decoder_hidden.N" (0 = the embedding, N = after layer
   *     N, before the last norm), "encoder_output" and "decoder_output" (what the head reads)
   * @param sites what adapters are told
   */
  public record Pass(
      boolean checkpointing, @Nullable Dropout dropout, Watch watch, SitePass sites) {
    /** Nothing dropped, nobody looks. */
    public static final Pass PLAIN = new Pass(false, null, Watch.NONE, SitePass.QUIET);
  }

  /**
   * @param encoder [rows·inputLength, hidden] after the last norm, 0 at padding
   * @param decoder [rows·targetLength, hidden] after the last norm, 0 at padding: what the head
   *     reads
   */
  public record Output(Tensor encoder, Tensor decoder) {}

  public Output forward(Tape tape, T5Batch batch, Pass pass) {
    Tensor memory = encode(tape, batch, pass);
    return new Output(memory, decode(tape, batch, memory, pass));
  }

  /**
   * @return [rows·inputLength, hidden] after the last norm, 0 at padding
   */
  public Tensor encode(Tape tape, T5Batch batch, Pass pass) {
    int length = batch.inputLength();
    var stack = new Stack(ENCODER, 0, config.encoderLayers(), encoderNorm, encoderBuckets, length);
    return run(tape, stack, batch.inputs(), null, new T5Masks(tape, config, batch).encoder(), pass);
  }

  /**
   * @param memory what {@link #encode} gave of the same batch
   * @return [rows·targetLength, hidden] after the last norm, 0 at padding
   */
  public Tensor decode(Tape tape, T5Batch batch, Tensor memory, Pass pass) {
    int first = config.encoderLayers();
    var stack =
        new Stack(
            DECODER,
            first,
            first + config.decoderLayers(),
            decoderNorm,
            decoderBuckets,
            batch.targetLength());
    T5Layer.Context context = new T5Masks(tape, config, batch).decoder();
    return run(tape, stack, batch.decoderInputs(), memory, context, pass);
  }

  /**
   * @param hidden [R, hidden], rows of {@link Output#decoder}; @return [R, vocab] wide
   */
  public Tensor logits(Tape tape, Tensor hidden) {
    Tensor read =
        config.scaledHead() ? Scale.apply(tape, hidden, 1 / Math.sqrt(config.hidden())) : hidden;
    return Project.apply(tape, read, head, dtype().wide());
  }

  /** Some of the layers and what goes with them. */
  private record Stack(
      String name, int first, int end, Parameter norm, Parameter buckets, int length) {}

  private Tensor run(
      Tape tape,
      Stack stack,
      int[] ids,
      @Nullable Tensor memory,
      T5Layer.Context context,
      Pass pass) {
    Watch watch = pass.watch();
    Array rows = tape.backend().ints(tape.arena(), ids, ids.length);
    Tensor h = dropped(tape, Rows.gather(tape, embedding, rows), stack, ".embedded", pass);
    watch.see(stack.name + "_hidden.0", h.data());
    var buckets = new T5Buckets(config.buckets(), config.maxDistance(), stack.name.equals(ENCODER));
    int[] pairs = buckets.table(stack.length);
    Tensor bias =
        tape.scope(
            s ->
                s.keep(RelativeBias.apply(tape, stack.buckets, pairs, stack.length, stack.length)));
    for (int i = stack.first; i < stack.end; i++) {
      h = tape.milestone(h, i + 1);
      residency.enter(i);
      List<Tensor> in = memory == null ? List.of(h, bias) : List.of(h, bias, memory);
      h = layer(tape, layers.get(i), in, context, pass);
      watch.see(stack.name + "_hidden." + (i - stack.first + 1), h.data());
    }
    if (memory != null) {
      h = tape.milestone(h, layers.size() + 1);
    }
    Tensor normed = RmsNorm.apply(tape, h, stack.norm, config.normEps());
    Tensor last = context.kept(tape, dropped(tape, normed, stack, ".output", pass));
    watch.see(stack.name + "_output", last.data());
    return last;
  }

  private static Tensor dropped(Tape tape, Tensor x, Stack stack, String place, Pass pass) {
    Dropout dropout = pass.dropout();
    return dropout == null ? x : dropout.at(stack.name + place).features(tape, x, stack.length);
  }

  /**
   * @param in the hidden state, the bias and, in the decoder, what the encoder gave
   */
  private static Tensor layer(
      Tape tape, T5Layer layer, List<Tensor> in, T5Layer.Context context, Pass pass) {
    var modules = new ArrayList<String>();
    Tape.Segment segment =
        (t, inputs) -> {
          modules.clear();
          var outs = new ArrayList<Tensor>();
          SitePass sites = gathering(pass, modules, outs);
          Tensor h =
              layer.forward(
                  t,
                  inputs.get(0),
                  inputs.getLast(),
                  inputs.get(1),
                  context,
                  sites,
                  pass.dropout());
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
  private static SitePass gathering(Pass pass, List<String> modules, List<Tensor> routed) {
    return new SitePass(
        pass.checkpointing() ? (name, array) -> {} : pass.sites().watch(),
        (module, probabilities) -> {
          modules.add(module);
          routed.add(probabilities);
        },
        pass.sites().noise());
  }

  /**
   * All parameters in the order of {@link #visit}, by the units that milestones on the tape tell
   * apart: first the embedding and both tables of buckets, then each layer (the encoder's last norm
   * with its last layer), last the decoder's norm and the head. A tied head is the embedding's.
   */
  public List<List<Parameter>> units() {
    var units = new ArrayList<List<Parameter>>();
    units.add(List.of(embedding, encoderBuckets, decoderBuckets));
    for (int i = 0; i < layers.size(); i++) {
      var unit = new ArrayList<Parameter>();
      visitLayer(i, unit::add);
      units.add(List.copyOf(unit));
    }
    var last = new ArrayList<Parameter>();
    visitOutput(last::add);
    units.add(List.copyOf(last));
    return units;
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    units().forEach(unit -> unit.forEach(visitor));
  }

  private void visitLayer(int index, Consumer<Parameter> visitor) {
    layers.get(index).visit(visitor);
    if (index == config.encoderLayers() - 1) {
      visitor.accept(encoderNorm);
    }
  }

  private void visitOutput(Consumer<Parameter> visitor) {
    visitor.accept(decoderNorm);
    if (!config.tiedHead()) {
      head.parts().forEach(visitor);
    }
  }

  @Override
  public void close() {
    layers.forEach(T5Layer::close);
    head.close();
  }
}
