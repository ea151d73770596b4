package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.AddColumns;
import io.moextend.op.AddColumns.Addend;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A product with a weight, and what adapters add to parts of it: to q and v alone where q, k and v
 * are one.
 *
 * @param parts in the order in which they are asked
 */
public record Linear(Weight weight, List<Part> parts) implements Module, Weighted, AutoCloseable {
  /**
   * An adapter of some columns.
   *
   * @param from the first of them
   */
  public record Part(long from, Site.Additive site) {}

  public Linear {
    parts = List.copyOf(parts);
  }

  /** One without adapters. */
  public Linear(Weight weight) {
    this(weight, List.of());
  }

  /**
   * @param x [R, in]; @return [R, out]
   */
  public Tensor forward(Tape tape, Tensor x, SitePass pass) {
    var products = new ArrayList<Project.Addend>();
    var left = new ArrayList<Part>();
    for (Part part : parts) {
      Site.Product product = part.site.product(tape, x, pass);
      if (product == null) {
        left.add(part);
      } else {
        products.add(new Project.Addend(part.from, product.h(), product.b()));
      }
    }
    Tensor y = Project.with(tape, x, weight, products);
    var addends = new ArrayList<Addend>();
    for (Part part : left) {
      addends.add(new Addend(part.from, part.site.delta(tape, x, pass)));
    }
    return AddColumns.into(tape, y, addends);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    weight.parts().forEach(visitor);
    weight.biases().forEach(visitor);
    parts.forEach(part -> part.site.visit(visitor));
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(weight);
    parts.forEach(part -> visitWeights(part.site, visitor));
  }

  /** Of an adapter, where it has any. */
  static void visitWeights(Site site, Consumer<Weight> visitor) {
    if (site instanceof Weighted weighted) {
      weighted.visitWeights(visitor);
    }
  }

  /** Adapters are closed by who made them. */
  @Override
  public void close() {
    weight.close();
  }
}
