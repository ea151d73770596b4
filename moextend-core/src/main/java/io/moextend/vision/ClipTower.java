package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.config.TowerConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Add;
import io.moextend.op.Project;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * CLIP's vision transformer: patches, a class token in front, learned positions, pre-norm layers.
 *
 * @see <a href="https://arxiv.org/abs/2103.00020">Learning Transferable Visual Models</a>; names of
 *     Hugging Face's CLIPVisionModel
 */
public final class ClipTower implements Module, AutoCloseable {
  private final TowerConfig config;
  private final Parameter classToken;
  private final Weight patchEmbedding;
  private final Parameter positions;
  private final ClipLayer.Norm preNorm;
  private final List<ClipLayer> layers;
  private final ClipLayer.Norm postNorm;

  /**
   * @param prefix "vision_model", or "model.visual.vision_tower.vision_model" inside a decoder
   */
  public ClipTower(ParameterFactory from, String prefix, TowerConfig config) {
    int width = config.hidden();
    int patch = config.patchSize();
    String embeddings = prefix + ".embeddings.";
    this.config = config;
    this.classToken = from.weight(embeddings + "class_embedding", Role.VISION_TOWER, width);
    this.patchEmbedding =
        Weight.of(
            from.backend(),
            from.weight(
                embeddings + "patch_embedding.weight",
                Role.VISION_TOWER,
                width,
                config.channels(),
                patch,
                patch));
    this.positions =
        from.weight(
            embeddings + "position_embedding.weight",
            Role.VISION_TOWER,
            config.patches() + 1,
            width);
    this.preNorm = ClipLayer.Norm.of(from, prefix + ".pre_layrnorm", width);
    this.layers = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new ClipLayer(from, prefix + ".encoder.layers." + i, config));
    }
    this.postNorm = ClipLayer.Norm.of(from, prefix + ".post_layernorm", width);
  }

  public TowerConfig config() {
    return config;
  }

  /**
   * The hidden states from the embeddings on, class token first in each image.
   *
   * @param pixels [N, channels, size, size], of the compute type
   * @param upTo how many layers to run; the result has one more entry
   * @return [N·(patches + 1), hidden] each
   */
  public List<Tensor> hiddenStates(Tape tape, Array pixels, int upTo) {
    pixels.require("pixels", -1, config.channels(), config.imageSize(), config.imageSize());
    int images = Math.toIntExact(pixels.dim(0));
    int tokens = config.patches() + 1;
    int headSize = config.hidden() / config.heads();
    var shape =
        new Attention(
            images,
            tokens,
            tokens,
            config.heads(),
            config.heads(),
            headSize,
            1 / Math.sqrt(headSize),
            false,
            0);
    var states = new ArrayList<Tensor>();
    states.add(tape.scope(s -> s.keep(preNorm.apply(tape, embed(tape, pixels), config.normEps()))));
    for (ClipLayer layer : layers.subList(0, upTo)) {
      Tensor x = states.getLast();
      states.add(tape.scope(s -> s.keep(layer.forward(tape, x, shape))));
    }
    return states;
  }

  private Tensor embed(Tape tape, Array pixels) {
    Backend backend = tape.backend();
    int images = Math.toIntExact(pixels.dim(0));
    Tensor cut = Tensor.constant(backend.patches(tape.arena(), pixels, config.patchSize()));
    Tensor patches = Project.apply(tape, cut, patchEmbedding);
    // row 0 is the class token; image i's patches follow it in the joined table
    Tensor table = Rows.join(tape, List.of(new RowView(classToken).on(tape), patches));
    int[] order = new int[images * (config.patches() + 1)];
    for (int i = 0, at = 0, patch = 1; i < images; i++) {
      order[at++] = 0;
      for (int p = 0; p < config.patches(); p++) {
        order[at++] = patch++;
      }
    }
    Array rows = backend.ints(tape.arena(), order, order.length);
    return Add.repeated(tape, Rows.gather(tape, table, rows), positions);
  }

  /** A vector [H] as a table of one row [1, H]. */
  private record RowView(Parameter vector) {
    Tensor on(Tape tape) {
      Array row = vector.data().reshape(1, vector.data().size());
      return tape.record("row", row, List.of(vector), List.of(), d -> List.of(d.reshape(d.size())));
    }
  }

  /** Drops the class token's row of each image: what a projector reads. [N·patches, hidden] */
  public Tensor patchesOf(Tape tape, Tensor state) {
    int tokens = config.patches() + 1;
    int images = Math.toIntExact(state.data().dim(0) / tokens);
    int[] order = new int[images * config.patches()];
    for (int i = 0, at = 0; i < images; i++) {
      for (int p = 1; p < tokens; p++) {
        order[at++] = i * tokens + p;
      }
    }
    return Rows.gather(tape, state, tape.backend().ints(tape.arena(), order, order.length));
  }

  /**
   * The class token of the last hidden state, normed: CLIPVisionModel's pooler_output. [N, hidden]
   */
  public Tensor pooled(Tape tape, Tensor lastState) {
    int tokens = config.patches() + 1;
    int[] order = new int[Math.toIntExact(lastState.data().dim(0) / tokens)];
    for (int i = 0; i < order.length; i++) {
      order[i] = i * tokens;
    }
    Array rows = tape.backend().ints(tape.arena(), order, order.length);
    return postNorm.apply(tape, Rows.gather(tape, lastState, rows), config.normEps());
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(classToken);
    patchEmbedding.parts().forEach(visitor);
    visitor.accept(positions);
    preNorm.visit(visitor);
    layers.forEach(layer -> layer.visit(visitor));
    postNorm.visit(visitor);
  }

  @Override
  public void close() {
    patchEmbedding.close();
    layers.forEach(ClipLayer::close);
  }
}
