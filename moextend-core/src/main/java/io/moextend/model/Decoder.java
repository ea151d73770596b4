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
import io.moextend.config.VisionConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Project;
import io.moextend.op.RmsNorm;
import io.moextend.op.Rows;
import io.moextend.op.SplitHeads.Rotation;
import io.moextend.op.Weight;
import io.moextend.vision.ClipTower;
import io.moextend.vision.Projector;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A decoder-only language model, with images where its config has a vision part: embed, put the
 * projected patches into their slots, the layers, the last norm; the head apart, so that it is
 * computed only where a loss or a next token needs it.
 */
public final class Decoder implements Module, AutoCloseable {
  private final DecoderConfig config;
  private final Parameter embedding;
  private final @Nullable ClipTower tower;
  private final @Nullable Projector projector;
  private final List<DecoderLayer> layers = new ArrayList<>();
  private final Parameter norm;
  private final Weight head;
  private final RopeTables rope;
  private LayerResidency residency = LayerResidency.EVERYWHERE;

  public Decoder(ParameterFactory from, DecoderConfig config) {
    this.config = config;
    this.embedding =
        from.weight("model.embed_tokens.weight", Role.BACKBONE, config.vocab(), config.hidden());
    VisionConfig vision = config.vision();
    if (vision == null) {
      this.tower = null;
      this.projector = null;
    } else {
      this.tower = new ClipTower(from, "model.visual.vision_tower.vision_model", vision.tower());
      this.projector =
          new Projector(
              from, "model.visual.mm_projector", vision.tower().hidden(), config.hidden());
    }
    var names = new DecoderNames(from, config);
    for (int i = 0; i < config.layers(); i++) {
      layers.add(names.layer(i));
    }
    this.norm = names.norm("model.norm.weight");
    this.head =
        Weight.of(
            from.backend(),
            config.tiedHead()
                ? embedding
                : from.weight("lm_head.weight", Role.BACKBONE, config.vocab(), config.hidden()));
    this.rope =
        new RopeTables(
            from.backend(), config.rope(), config.heads().size(), embedding.data().dtype().wide());
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
    return embedding.data().dtype();
  }

  /**
   * @param hidden [T, hidden] after the last norm, or [R, hidden] of the rows that were asked for
   * @param rows [R] I32, the rows that were asked for; null = all
   * @param routings one for each mixture layer, in order, over all T tokens
   */
  public record Output(Tensor hidden, @Nullable Array rows, List<Routing> routings) {}

  /** All rows of the last hidden state. */
  public Output forward(Tape tape, ModelInput input, boolean checkpointing, Watch watch) {
    return forward(tape, input, null, checkpointing, watch);
  }

  /**
   * @param rows [R] I32, the rows of the last hidden state that will be read, as a loss reads those
   *     before labels alone; the last feed-forward network or its experts then run on these alone.
   *     null = all
   * @param checkpointing true to keep only each layer's input and run layers again in the backward
   *     pass
   */
  public Output forward(
      Tape tape, ModelInput input, @Nullable Array rows, boolean checkpointing, Watch watch) {
    Tensor h = embed(tape, input, watch);
    watch.see("hidden_states.0", h.data());
    DecoderLayer.Context context = context(tape, input);
    var routings = new ArrayList<Routing>();
    for (int i = 0; i < layers.size(); i++) {
      h = tape.milestone(h, i + 1);
      residency.enter(i);
      List<Tensor> outs =
          layer(
              tape,
              layers.get(i),
              h,
              context,
              new DecoderLayer.Asked(
                  forced(input, routings.size()), i == layers.size() - 1 ? rows : null),
              checkpointing);
      h = outs.getFirst();
      if (outs.size() > 1) {
        routings.add(new Routing(i, outs.get(1), outs.get(2), outs.get(3).data()));
      }
      if (i < layers.size() - 1) {
        watch.see("hidden_states." + (i + 1), h.data());
      }
    }
    h = tape.milestone(h, layers.size() + 1);
    Tensor last = RmsNorm.apply(tape, h, norm, config.normEps());
    watch.see("hidden_states." + layers.size(), last.data());
    return new Output(last, rows, routings);
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

  private Tensor embed(Tape tape, ModelInput input, Watch watch) {
    Tensor h = Rows.gather(tape, embedding, input.ids());
    ModelInput.Images images = input.images();
    if (images == null) {
      return h;
    }
    if (tower == null || projector == null) {
      throw new IllegalArgumentException(
          "the batch has images but the model has no vision part; give its config a vision_config");
    }
    Tensor features =
        switch (images) {
          case ModelInput.Images.Features f -> Tensor.constant(f.features());
          case ModelInput.Images.Pixels p -> features(tape, tower, p.pixels(), watch);
        };
    Projector connector = projector;
    Tensor projected = tape.scope(s -> s.keep(connector.forward(tape, features)));
    watch.see("image_features", projected.data());
    if (projected.data().dim(0) != images.rows().size()) {
      throw new IllegalArgumentException(
          "%d image patches for %d image slots; the spans in input_ids must have %d slots each"
              .formatted(projected.data().dim(0), images.rows().size(), tower.config().patches()));
    }
    return Rows.replace(tape, h, images.rows(), projected);
  }

  private Tensor features(Tape tape, ClipTower from, Array pixels, Watch watch) {
    VisionConfig vision = config.vision();
    int layer = vision == null ? -1 : vision.featureLayer();
    int upTo = from.config().layers() + 1 + layer;
    return tape.scope(
        s -> {
          List<Tensor> states = from.hiddenStates(tape, pixels, upTo);
          for (int i = 0; i < states.size(); i++) {
            watch.see("clip_hidden_states." + i, states.get(i).data());
          }
          return s.keep(from.patchesOf(tape, states.getLast()));
        });
  }

  /**
   * The features of a frozen tower for some images, to be kept. pixels [N, C, S, S]; [N·patches,
   * width].
   */
  public Array imageFeatures(Tape tape, Array pixels) {
    if (tower == null) {
      throw new IllegalArgumentException("the model has no vision part");
    }
    return features(tape, tower, pixels, Watch.NONE).data();
  }

  private DecoderLayer.Context context(Tape tape, ModelInput input) {
    int length = input.length();
    RopeTables.Tables tables = rope.upTo(length);
    int[] positions = new int[input.tokens()];
    Arrays.setAll(positions, i -> i % length);
    int size = config.heads().size();
    return new DecoderLayer.Context(
        new Attention(
            input.batch(),
            length,
            length,
            config.heads().query(),
            config.heads().keyValue(),
            size,
            1 / Math.sqrt(size),
            true,
            config.window()),
        new Rotation(
            tape.backend().ints(tape.arena(), positions, positions.length),
            tables.cos(),
            tables.sin()),
        input.mask(),
        null);
  }

  private static @Nullable Array forced(ModelInput input, int mixture) {
    return input.forcedExperts().isEmpty() ? null : input.forcedExperts().get(mixture);
  }

  /**
   * All parameters in the order of {@link #visit}, by the units that milestones on the tape tell
   * apart: first embedding and vision part, then each layer, last the final norm and the head. A
   * tied head is the embedding's.
   */
  public List<List<Parameter>> units() {
    var units = new ArrayList<List<Parameter>>();
    units.add(collected(this::visitInput));
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
    visitInput(visitor);
    layers.forEach(layer -> layer.visit(visitor));
    visitOutput(visitor);
  }

  private void visitInput(Consumer<Parameter> visitor) {
    visitor.accept(embedding);
    if (tower != null && projector != null) {
      tower.visit(visitor);
      projector.visit(visitor);
    }
  }

  private void visitOutput(Consumer<Parameter> visitor) {
    visitor.accept(norm);
    if (!config.tiedHead()) {
      head.parts().forEach(visitor);
    }
  }

  @Override
  public void close() {
    if (tower != null && projector != null) {
      tower.close();
      projector.close();
    }
    layers.forEach(DecoderLayer::close);
    head.close();
    rope.close();
  }
}
