package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.config.DecoderConfig;
import io.moextend.moe.Modalities;
import io.moextend.nn.Lookup;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Sites;
import io.moextend.op.Project;
import io.moextend.op.RmsNorm;
import io.moextend.op.SplitHeads.Rotation;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model, with images where its config has a vision part: embed, put the
 * projected patches into their slots, the layers, the last norm; the head apart, so that it is
 * computed only where a loss or a next token needs it.
 */
public final class Decoder implements Module, AutoCloseable {
  private final DecoderConfig config;
  private final DecoderInput input;
  private final List<DecoderLayer> layers = new ArrayList<>();
  private final Parameter norm;
  private final Weight head;
  private final RopeTables rope;
  private LayerResidency residency = LayerResidency.EVERYWHERE;

  public Decoder(ParameterFactory from, DecoderConfig config) {
    this(from, config, Sites.NONE);
  }

  /**
   * @param sites adapters; they are visited with the model, and closed by who made them after it
   */
  public Decoder(ParameterFactory from, DecoderConfig config, Sites sites) {
    this.config = config;
    this.input = new DecoderInput(from, config);
    var names = new DecoderNames(from, config, sites);
    for (int i = 0; i < config.layers(); i++) {
      layers.add(names.layer(i));
    }
    this.norm = names.norm("model.norm.weight");
    this.head =
        Weight.of(
            from.backend(),
            config.tiedHead()
                ? input.embedding()
                : from.weight("lm_head.weight", Role.BACKBONE, config.vocab(), config.hidden()));
    this.rope =
        new RopeTables(from.backend(), config.rope(), config.heads().size(), dtype().wide());
  }

  public DecoderConfig config() {
    return config;
  }

  /** Who sees to it that layers have their weights; at first all have them all the time. */
  public LayerResidency residency() {
    return residency;
  }

  public void residency(LayerResidency value) {
    residency = value;
  }

  /** What each layer multiplies with. */
  public List<List<Weight>> layerWeights() {
    var weights = new ArrayList<List<Weight>>();
    for (DecoderLayer layer : layers) {
      var found = new ArrayList<Weight>();
      layer.visitWeights(found::add);
      weights.add(List.copyOf(found));
    }
    return weights;
  }

  /** The type activations have. */
  public DType dtype() {
    return input.embedding().data().dtype();
  }

  /**
   * @param hidden [T, hidden] after the last norm, or [R, hidden] of the rows that were asked for
   * @param rows [R] I32, the rows that were asked for; null = all
   * @param routings one for each layer that learns to route, in order, over all T tokens
   * @param choices one for each layer with experts, in order, over all T tokens
   * @param routed the logits of adapters' routers by their modules
   */
  public record Output(
      Tensor hidden,
      @Nullable Array rows,
      List<Routing> routings,
      List<Choice> choices,
      SequencedMap<String, Tensor> routed) {}

  /** All rows of the last hidden state. */
  public Output forward(Tape tape, ModelInput batch, boolean checkpointing, Watch watch) {
    return forward(tape, batch, null, checkpointing, watch);
  }

  /**
   * @param rows [R] I32, the rows of the last hidden state that will be read, as a loss reads those
   *     before labels alone; the last feed-forward network or its experts then run on these alone.
   *     null = all
   * @param checkpointing true to keep only each layer's input and run layers again in the backward
   *     pass
   */
  public Output forward(
      Tape tape, ModelInput batch, @Nullable Array rows, boolean checkpointing, Watch watch) {
    int[] positions = new int[batch.tokens()];
    Arrays.setAll(positions, i -> i % batch.length());
    int[] lengths = new int[positions.length];
    Arrays.fill(lengths, batch.length());
    Attention shape = heads(batch);
    var context =
        new DecoderLayer.Context(
            shape,
            rope.rotation(tape, positions, lengths),
            Lookup.within(shape, batch.mask()),
            batch.modalities(tape, config));
    return run(tape, batch, rows, layer -> context, checkpointing, watch);
  }

  /**
   * Runs tokens that follow those in caches, which have them too afterwards. The first time that is
   * a prompt, then each token as it is chosen; what comes out is what {@link #forward} over the
   * whole sequence gives at the new tokens. No gradients. A cache that {@linkplain
   * KeyValueCache#outgrownBy is outgrown} has to be cleared first.
   *
   * @param batch of one and the same number of new tokens for each cache, without a mask
   * @param caches one for each sequence, of different lengths as may be
   * @param rows as in {@link #forward(Tape, ModelInput, Array, boolean, Watch)}: a prompt's last
   *     row is what the next token is chosen from; null = all
   */
  public Output extend(
      Tape tape, ModelInput batch, List<KeyValueCache> caches, @Nullable Array rows) {
    CachedPass pass = CachedPass.of(batch, caches);
    Attention shape = heads(batch);
    Rotation rotation = rope.rotation(tape, pass.positions(), pass.lengths());
    Modalities modalities = batch.modalities(tape, config);
    Output output =
        run(
            tape,
            batch,
            rows,
            layer -> new DecoderLayer.Context(shape, rotation, pass.in(layer, shape), modalities),
            false,
            Watch.NONE);
    pass.finish();
    return output;
  }

  private Output run(
      Tape tape,
      ModelInput batch,
      @Nullable Array rows,
      IntFunction<DecoderLayer.Context> contexts,
      boolean checkpointing,
      Watch watch) {
    Tensor h = input.embed(tape, batch, watch);
    watch.see("hidden_states.0", h.data());
    var routings = new ArrayList<Routing>();
    var choices = new ArrayList<Choice>();
    var routed = new RoutedSites();
    for (int i = 0; i < layers.size(); i++) {
      h = tape.milestone(h, i + 1);
      residency.enter(i);
      String number = "." + i;
      Watch seen = checkpointing ? Watch.NONE : watch;
      Long noise = batch.noise() == null ? null : 31 * batch.noise() + i;
      var asked =
          new DecoderLayer.Asked(
              batch.forced(routings.size()),
              i == layers.size() - 1 ? rows : null,
              noise,
              (name, array) -> seen.see(name + number, array),
              routed.enter(seen, noise));
      DecoderLayer.Context context = contexts.apply(i);
      List<Tensor> outs = routed.take(layer(tape, layers.get(i), h, context, asked, checkpointing));
      h = outs.getFirst();
      if (outs.size() > 1) {
        choices.add(new Choice(i, outs.get(1).data(), outs.get(2).data()));
      }
      if (outs.size() > 3) {
        routings.add(Routing.of(i, outs, layers.get(i).windows(), context.modalities()));
      }
      if (i < layers.size() - 1) {
        watch.see("hidden_states." + (i + 1), h.data());
      }
    }
    h = tape.milestone(h, layers.size() + 1);
    Tensor last = RmsNorm.apply(tape, h, norm, config.normEps());
    watch.see("hidden_states." + layers.size(), last.data());
    return new Output(last, rows, routings, choices, routed.logits());
  }

  /**
   * @param hidden [R, hidden], rows of {@link Output#hidden}; @return [R, vocab]
   */
  public Tensor logits(Tape tape, Tensor hidden) {
    return Project.apply(tape, hidden, head);
  }

  private static List<Tensor> layer(
      Tape tape,
      DecoderLayer layer,
      Tensor x,
      DecoderLayer.Context context,
      DecoderLayer.Asked asked,
      boolean checkpointing) {
    if (checkpointing) {
      return tape.checkpoint(
          List.of(x), (t, in) -> layer.forward(t, in.getFirst(), context, asked));
    }
    return tape.scope(
        s -> {
          List<Tensor> outs = layer.forward(tape, x, context, asked);
          outs.forEach(s::keep);
          return outs;
        });
  }

  /**
   * The features of a frozen tower for some images, to be kept. pixels [N, C, S, S]; [N·patches,
   * width].
   */
  public Array imageFeatures(Tape tape, Array pixels) {
    return input.imageFeatures(tape, pixels);
  }

  private Attention heads(ModelInput batch) {
    int size = config.heads().size();
    return new Attention(
        batch.batch(),
        batch.length(),
        batch.length(),
        config.heads().query(),
        config.heads().keyValue(),
        size,
        1 / Math.sqrt(size),
        true,
        config.window());
  }

  /**
   * All parameters in the order of {@link #visit}, by the units that milestones on the tape tell
   * apart: first embedding and vision part, then each layer, last the final norm and the head. A
   * tied head is the embedding's.
   */
  public List<List<Parameter>> units() {
    var units = new ArrayList<List<Parameter>>();
    units.add(collected(input::visit));
    layers.forEach(layer -> units.add(collected(layer::visit)));
    units.add(collected(this::visitOutput));
    return units;
  }

  private static List<Parameter> collected(Consumer<Consumer<Parameter>> part) {
    var found = new ArrayList<Parameter>();
    part.accept(found::add);
    return List.copyOf(found);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    input.visit(visitor);
    layers.forEach(layer -> layer.visit(visitor));
    visitOutput(visitor);
  }

  private void visitOutput(Consumer<Parameter> visitor) {
    visitor.accept(norm);
    if (!config.tiedHead()) {
      head.parts().forEach(visitor);
    }
  }

  @Override
  public void close() {
    input.close();
    layers.forEach(DecoderLayer::close);
    head.close();
    rope.close();
  }
}
