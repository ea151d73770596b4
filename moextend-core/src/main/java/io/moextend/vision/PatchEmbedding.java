package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.op.Add;
import io.moextend.op.Project;
import io.moextend.op.Reshape;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Patches of images as rows, a class token before each image's if there is one, and positions. */
final class PatchEmbedding implements Module, AutoCloseable {
  private final TowerConfig config;
  private final @Nullable Parameter classToken;
  private final Weight patches;
  private final Parameter positions;

  /**
   * @param prefix what stands before the names, with its dot: "vision_model.embeddings."
   */
  PatchEmbedding(ParameterFactory from, String prefix, TowerConfig config) {
    int width = config.hidden();
    this.config = config;
    switch (config.family()) {
      case TowerFamily.Clip() -> {
        classToken = token(from, prefix + "class_embedding", width);
        patches = patches(from, prefix + "patch_embedding", config, false);
        positions = token(from, prefix + "position_embedding.weight", config.rows(), width);
      }
      case TowerFamily.Siglip _ -> {
        classToken = null;
        patches = patches(from, prefix + "patch_embedding", config, true);
        positions = token(from, prefix + "position_embedding.weight", config.rows(), width);
      }
      case TowerFamily.Dinov2 _ -> {
        classToken = token(from, prefix + "cls_token", 1, 1, width);
        patches = patches(from, prefix + "patch_embeddings.projection", config, true);
        positions = token(from, prefix + "position_embeddings", 1, config.rows(), width);
      }
    }
  }

  private static Parameter token(ParameterFactory from, String name, long... shape) {
    return from.weight(name, Role.VISION_TOWER, shape);
  }

  private static Weight patches(
      ParameterFactory from, String name, TowerConfig config, boolean biased) {
    Role role = Role.VISION_TOWER;
    int size = config.patchSize();
    Parameter kernel =
        from.weight(name + ".weight", role, config.hidden(), config.channels(), size, size);
    return new Weight(
        from.backend(),
        List.of(kernel),
        biased
            ? List.of(from.parameter(name + ".bias", role, Init.ZEROS, config.hidden()))
            : List.of());
  }

  /**
   * @param pixels [N, channels, size, size]; @return [N·rows, hidden]
   */
  Tensor embed(Tape tape, Array pixels) {
    pixels.require("pixels", -1, config.channels(), config.imageSize(), config.imageSize());
    Backend backend = tape.backend();
    Array cut = backend.patches(tape.arena(), seen(tape, pixels), config.patchSize());
    Tensor rows = Project.apply(tape, Tensor.constant(cut), patches);
    if (classToken != null) {
      // row 0 is the class token; image i's patches follow it in the joined table
      Tensor first = Reshape.apply(tape, classToken, 1, config.hidden());
      Tensor table = Rows.join(tape, List.of(first, rows));
      int all = config.rows();
      int[] order =
          IntStream.range(0, Math.toIntExact(pixels.dim(0)) * all)
              .map(i -> i % all == 0 ? 0 : i / all * config.patches() + i % all)
              .toArray();
      rows = Rows.gather(tape, table, backend.ints(tape.arena(), order, order.length));
    }
    return Add.repeated(tape, rows, Reshape.apply(tape, positions, config.rows(), config.hidden()));
  }

  /** The pixels that whole patches cover; what is left over at the right and below falls away. */
  private Array seen(Tape tape, Array pixels) {
    int size = config.imageSize();
    int side = config.grid() * config.patchSize();
    if (side == size) {
      return pixels;
    }
    int planes = Math.toIntExact(pixels.dim(0)) * config.channels();
    int[] lines = IntStream.range(0, planes * side).map(i -> i / side * size + i % side).toArray();
    Backend backend = tape.backend();
    Array kept =
        backend.gatherRows(
            tape.arena(),
            pixels.reshape((long) planes * size, size),
            backend.ints(tape.arena(), lines, lines.length));
    return backend
        .columns(tape.arena(), kept, 0, side)
        .reshape(pixels.dim(0), config.channels(), side, side);
  }

  /** [N·rows, hidden] to the patches alone, [N·patches, hidden]. */
  Tensor patchesOf(Tape tape, Tensor state) {
    if (classToken == null) {
      return state;
    }
    int patches = config.patches();
    int images = Math.toIntExact(state.data().dim(0) / config.rows());
    int[] order =
        IntStream.range(0, images * patches)
            .map(i -> i / patches * config.rows() + 1 + i % patches)
            .toArray();
    return Rows.gather(tape, state, tape.backend().ints(tape.arena(), order, order.length));
  }

  /** [N·rows, hidden] to each image's first row, the class token: [N, hidden]. */
  Tensor classesOf(Tape tape, Tensor state) {
    int images = Math.toIntExact(state.data().dim(0) / config.rows());
    int[] order = IntStream.range(0, images).map(i -> i * config.rows()).toArray();
    return Rows.gather(tape, state, tape.backend().ints(tape.arena(), order, order.length));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    if (classToken != null) {
      visitor.accept(classToken);
    }
    Layers.visit(patches, visitor);
    visitor.accept(positions);
  }

  @Override
  public void close() {
    patches.close();
  }
}
