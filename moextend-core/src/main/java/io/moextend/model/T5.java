package io.moextend.model;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.config.T5Config;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import io.moextend.op.Dropout;
import io.moextend.op.Project;
import io.moextend.op.Scale;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
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
  private final T5Config config;
  private final Parameter embedding;
  private final T5Stack encoder;
  private final T5Stack decoder;
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
    var layers = new ArrayList<T5Layer>();
    for (int i = 0; i < config.encoderLayers(); i++) {
      layers.add(names.encoderLayer(i));
    }
    this.encoder = stack(names, T5Stack.ENCODER, 0, layers);
    layers.clear();
    for (int i = 0; i < config.decoderLayers(); i++) {
      layers.add(names.decoderLayer(i));
    }
    this.decoder = stack(names, T5Stack.DECODER, config.encoderLayers(), layers);
    this.head = names.head(embedding);
  }

  private T5Stack stack(T5Names names, String name, int first, List<T5Layer> layers) {
    Parameter norm = names.norm(name + ".final_");
    return new T5Stack(name, config, first, layers, embedding, names.buckets(name), norm);
  }

  public T5Config config() {
    return config;
  }

  /** The encoder's, then the decoder's. */
  private List<T5Layer> layers() {
    return Stream.of(encoder, decoder).flatMap(stack -> stack.layers().stream()).toList();
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
    for (T5Layer layer : layers()) {
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
    T5Layer.Context context = new T5Masks(tape, config, batch).encoder();
    var given = new T5Stack.Given(batch.inputs(), batch.inputLength(), 0, null, layer -> context);
    return encoder.run(tape, given, pass, residency);
  }

  /**
   * @param memory what {@link #encode} gave of the same batch
   * @return [rows·targetLength, hidden] after the last norm, 0 at padding
   */
  public Tensor decode(Tape tape, T5Batch batch, Tensor memory, Pass pass) {
    T5Layer.Context context = new T5Masks(tape, config, batch).decoder();
    var given =
        new T5Stack.Given(batch.decoderInputs(), batch.targetLength(), 0, memory, layer -> context);
    return decoder.run(tape, given, pass, residency);
  }

  /**
   * Reads the inputs of one example, which {@link #extend} then answers token by token.
   *
   * @param inputs ids, at least one
   * @param most tokens that the decoder will be given, the start counted
   * @return owned by the caller
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, or closed on failure
  public T5Cache read(Backend backend, int[] inputs, int most) {
    int[] none = {config.tokens().eos()};
    T5Batch batch = T5Batch.plain(1, inputs, none, config.tokens().start()).withOpenPadding();
    var cache = new T5Cache(backend, config, dtype(), inputs, most);
    try (Arena arena = backend.arena("reading")) {
      Tape tape = Tape.off(backend, arena);
      Tensor memory = encode(tape, batch, Pass.PLAIN);
      for (int i = 0; i < config.decoderLayers(); i++) {
        residency.enter(config.encoderLayers() + i);
        cache.add(decoder.layers().get(i).remembered(tape, memory, SitePass.QUIET));
      }
      return cache;
    } catch (RuntimeException e) {
      cache.close();
      throw e;
    }
  }

  /**
   * As {@link #decode} of one example's tokens that follow those in its cache, which takes them up;
   * the first that an answer is given is the start token. A pass that fails leaves the cache as it
   * was.
   *
   * @param tape off: a cache passes no gradients on
   * @return [tokens, hidden] after the last norm
   */
  public Tensor extend(Tape tape, int[] ids, T5Cache cache) {
    cache.require(ids.length);
    var given =
        new T5Stack.Given(
            ids, ids.length, cache.length(), null, layer -> cache.in(layer, ids.length));
    Tensor last = decoder.run(tape, given, Pass.PLAIN, residency);
    cache.advance(ids.length);
    return last;
  }

  /**
   * @param hidden [R, hidden], rows of {@link Output#decoder}; @return [R, vocab] wide
   */
  public Tensor logits(Tape tape, Tensor hidden) {
    Tensor read =
        config.scaledHead() ? Scale.apply(tape, hidden, 1 / Math.sqrt(config.hidden())) : hidden;
    return Project.apply(tape, read, head, dtype().wide());
  }

  /**
   * All parameters in the order of {@link #visit}, by the units that milestones on the tape tell
   * apart: first the embedding and both tables of buckets, then each layer (the encoder's last norm
   * with its last layer), last the decoder's norm and the head. A tied head is the embedding's.
   */
  public List<List<Parameter>> units() {
    var units = new ArrayList<List<Parameter>>();
    units.add(List.of(embedding, encoder.buckets(), decoder.buckets()));
    for (int i = 0; i < layers().size(); i++) {
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
    layers().get(index).visit(visitor);
    if (index == config.encoderLayers() - 1) {
      visitor.accept(encoder.norm());
    }
  }

  private void visitOutput(Consumer<Parameter> visitor) {
    visitor.accept(decoder.norm());
    if (!config.tiedHead()) {
      head.parts().forEach(visitor);
    }
  }

  @Override
  public void close() {
    layers().forEach(T5Layer::close);
    head.close();
  }
}
