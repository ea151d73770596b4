package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.AddColumns;
import io.moextend.op.AddColumns.Addend;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer's place for an adapter.
 *
 * @param site null where the place is empty
 */
public record Slot(@Nullable Site site) implements Module {
  /** Of a layer whose product may be rescaled or added to. */
  public static Slot of(Sites sites, Sites.Layer layer) {
    return new Slot(sites.at(layer));
  }

  /**
   * Of a layer whose product may be added to alone.
   *
   * @throws IllegalArgumentException where the adapter rescales
   */
  public static Slot adding(Sites sites, Sites.Layer layer) {
    Slot slot = of(sites, layer);
    if (slot.site instanceof Site.Rescaling) {
      throw new IllegalArgumentException(
          layer.module()
              + " cannot be rescaled; an adapter that rescales belongs to keys, values or the"
              + " hidden state of a feed-forward network");
    }
    return slot;
  }

  /**
   * What the layer gives, with what the adapter adds.
   *
   * @param x [R, in], what the layer reads
   * @param product [R, out], what it gives by itself; overwritten
   */
  public Tensor added(Tape tape, Tensor x, Tensor product, SitePass pass) {
    return site instanceof Site.Additive additive
        ? AddColumns.into(tape, product, List.of(new Addend(0, additive.delta(tape, x, pass))))
        : product;
  }

  /**
   * As {@link #added}, with the layer's product.
   *
   * @param weight the layer's; what the adapter adds begins with its first columns
   */
  public Tensor projected(Tape tape, Tensor x, Weight weight, SitePass pass) {
    return site instanceof Site.Additive additive
        ? new Linear(weight, List.of(new Linear.Part(0, additive))).forward(tape, x, pass)
        : Project.apply(tape, x, weight);
  }

  /** True where what the layer gives is multiplied. */
  public boolean isRescaling() {
    return site instanceof Site.Rescaling;
  }

  /**
   * @param y [R, out]; @return as y
   */
  public Tensor rescaled(Tape tape, Tensor y, SitePass pass) {
    return site instanceof Site.Rescaling rescaling ? rescaling.rescale(tape, y, pass) : y;
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    if (site != null) {
      site.visit(visitor);
    }
  }
}
