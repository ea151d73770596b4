package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.config.TowerConfig;
import io.moextend.config.VisionConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Columns;
import io.moextend.op.MixRows;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * From pixels to the patches a projector reads: a tower at one scale or several, the hidden state
 * the config names, the grid it asks for. Trains where the tower's parameters do, at several scales
 * too.
 *
 * @see <a href="https://arxiv.org/abs/2403.13043">When Do We Not Need Larger Vision Models?</a>,
 *     section 3.1, for several scales
 */
public final class ImageEncoder implements Module, AutoCloseable {
  private final VisionConfig config;
  private final Tower tower;

  /**
   * @param prefix as in {@link Tower#of}
   */
  public ImageEncoder(ParameterFactory from, String prefix, VisionConfig config) {
    this.config = config;
    this.tower = Tower.of(from, prefix, config.tower());
  }

  public Tower tower() {
    return tower;
  }

  /**
   * @param pixels [N, channels, size, size], size as {@link VisionConfig#imageSize} says
   * @param seen is shown all hidden states of each pass through the tower
   * @return [N·patches, features] as {@link VisionConfig#patches} and {@link VisionConfig#features}
   *     say
   */
  public Tensor features(Tape tape, Array pixels, Consumer<List<Tensor>> seen) {
    int size = config.imageSize();
    pixels.require("pixels", -1, config.tower().channels(), size, size);
    if (config.scales().isEmpty()) {
      return resized(tape, once(tape, pixels, seen));
    }
    var parts = new ArrayList<Tensor>();
    for (int scale : config.scales()) {
      parts.add(tape.scope(s -> s.keep(atScale(tape, pixels, scale, seen))));
    }
    return Columns.join(tape, parts);
  }

  /** One pass. pixels [M, C, S, S] of the tower's size; [M·patches, hidden]. */
  private Tensor once(Tape tape, Array pixels, Consumer<List<Tensor>> seen) {
    int upTo = config.tower().layers() + 1 + config.featureLayer();
    return tape.scope(
        s -> {
          List<Tensor> states = tower.hiddenStates(tape, pixels, upTo);
          seen.accept(states);
          Tensor state = states.getLast();
          boolean normed = config.tower().family().normedFeatures();
          return s.keep(tower.patchesOf(tape, normed ? tower.last(tape, state) : state));
        });
  }

  private Tensor resized(Tape tape, Tensor patches) {
    int side = config.tower().grid();
    if (side == config.grid()) {
      return patches;
    }
    int images = Math.toIntExact(patches.data().dim(0) / ((long) side * side));
    return MixRows.apply(tape, patches, Grids.bilinear(side, config.grid()).repeated(images));
  }

  /** The image at one scale, tile by tile, and its patches' means where tiles are many. */
  private Tensor atScale(Tape tape, Array pixels, int scale, Consumer<List<Tensor>> seen) {
    TowerConfig own = config.tower();
    int tiles = scale / own.imageSize();
    Tensor patches = once(tape, tiles(tape, pixels, scale), seen);
    if (tiles == 1) {
      return patches;
    }
    int images = Math.toIntExact(pixels.dim(0));
    return MixRows.apply(tape, patches, Grids.joinedMeans(own.grid(), tiles).repeated(images));
  }

  /**
   * An image at some scale cut into pieces of the tower's size, line by line, one image after the
   * other.
   *
   * @return [N·tiles², channels, S, S]
   */
  public Array tiles(Tape tape, Array pixels, int scale) {
    Backend backend = tape.backend();
    int size = config.tower().imageSize();
    Array resized = Bicubic.resize(tape, pixels, scale);
    Array cut = backend.patches(tape.arena(), resized, size);
    return cut.reshape(cut.dim(0), pixels.dim(1), size, size);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    tower.visit(visitor);
  }

  @Override
  public void close() {
    tower.close();
  }
}
