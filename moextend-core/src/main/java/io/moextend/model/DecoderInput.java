package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.VisionConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Rows;
import io.moextend.vision.ImageEncoder;
import io.moextend.vision.Projector;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What flows into a decoder's first layer: embedded tokens, and projected patches in their slots.
 */
final class DecoderInput implements Module, AutoCloseable {
  private final Parameter embedding;
  private final int untrained;
  private final @Nullable Vision vision;

  /** How patches become as wide as tokens. */
  private record Vision(VisionConfig config, ImageEncoder encoder, Projector projector) {}

  DecoderInput(ParameterFactory from, DecoderConfig config) {
    this.embedding =
        from.weight("model.embed_tokens.weight", Role.BACKBONE, config.vocab(), config.hidden());
    Integer pad = config.tokens().pad();
    this.untrained = pad == null ? Rows.NONE : pad;
    Eyes eyes = config.type().eyes();
    VisionConfig images = config.vision();
    this.vision =
        images == null
            ? null
            : new Vision(
                images,
                new ImageEncoder(from, eyes.tower() + ".", images),
                Projector.of(
                    from,
                    eyes.projector(),
                    images.projectorType(),
                    images.features(),
                    config.hidden()));
  }

  /** [vocab, hidden]. */
  Parameter embedding() {
    return embedding;
  }

  /** [T, hidden]. */
  Tensor embed(Tape tape, ModelInput input, Watch watch) {
    Tensor h = words(tape, input);
    ModelInput.Images images = input.images();
    if (images == null) {
      return h;
    }
    Vision with = vision;
    if (with == null) {
      throw new IllegalArgumentException(
          "the batch has images but the model has no vision part; give its config a vision_config");
    }
    Tensor features =
        switch (images) {
          case ModelInput.Images.Features f -> Tensor.constant(f.features());
          case ModelInput.Images.Pixels p -> features(tape, with, p.pixels(), watch);
        };
    watch.see("vision_features", features.data());
    Tensor projected =
        tape.scope(s -> s.keep(with.projector.forward(tape, features, with.config.patches())));
    watch.see("image_features", projected.data());
    Array taken = images.taken();
    if (taken != null && taken.size() == 0) {
      return h;
    }
    Tensor placed = taken == null ? projected : Rows.gather(tape, projected, taken);
    if (placed.data().dim(0) != images.rows().size()) {
      throw new IllegalArgumentException(
          "%d image tokens for %d image slots; the spans in input_ids must have %d slots each"
              .formatted(placed.data().dim(0), images.rows().size(), with.config.tokens()));
    }
    return Rows.replace(tape, h, images.rows(), placed);
  }

  private Tensor words(Tape tape, ModelInput input) {
    Tensor h = Rows.gather(tape, embedding, input.ids(), untrained);
    Array blank = input.blank();
    if (blank == null) {
      return h;
    }
    Array zeros = tape.arena().allocate(h.data().dtype(), blank.size(), h.data().dim(1));
    tape.backend().fillInto(zeros, 0);
    return Rows.replace(tape, h, blank, Tensor.constant(zeros));
  }

  /** What the tower makes of pixels [N, C, S, S]: [N·patches, width]. */
  Array imageFeatures(Tape tape, Array pixels) {
    if (vision == null) {
      throw new IllegalArgumentException("the model has no vision part");
    }
    return features(tape, vision, pixels, Watch.NONE).data();
  }

  private static Tensor features(Tape tape, Vision vision, Array pixels, Watch watch) {
    return vision.encoder.features(
        tape,
        pixels,
        states -> {
          // at several scales there would be several of one name
          for (int i = 0; vision.config.scales().isEmpty() && i < states.size(); i++) {
            watch.see("clip_hidden_states." + i, states.get(i).data());
          }
        });
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(embedding);
    if (vision != null) {
      vision.encoder.visit(visitor);
      vision.projector.visit(visitor);
    }
  }

  @Override
  public void close() {
    if (vision != null) {
      vision.encoder.close();
      vision.projector.close();
    }
  }
}
