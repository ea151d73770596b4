package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.op.Columns;
import io.moextend.op.SplitHeads;
import io.moextend.op.SplitHeads.Rotation;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Multi-head attention of a sequence with itself; q, k and v are one product. */
public final class SelfAttention implements Module, Weighted, AutoCloseable {
  private final Linear qkv;
  private final Linear out;
  private final Rescaled rescaled;

  /**
   * Adapters that multiply, before positions are rotated in.
   *
   * @param stacked q, k and v together, null = none
   */
  public record Rescaled(
      Site.@Nullable Rescaling stacked,
      Site.@Nullable Rescaling keys,
      Site.@Nullable Rescaling values) {
    public static final Rescaled NOTHING = new Rescaled(null, null, null);

    private Stream<Site.Rescaling> sites() {
      return Stream.of(stacked, keys, values).filter(Objects::nonNull).map(Objects::requireNonNull);
    }
  }

  /**
   * One without adapters.
   *
   * @param qkv q, k and v stacked: [(queryHeads + 2·keyHeads)·headSize, hidden]
   * @param out [hidden, queryHeads·headSize]
   */
  public SelfAttention(Weight qkv, Weight out) {
    this(new Linear(qkv), new Linear(out), Rescaled.NOTHING);
  }

  public SelfAttention(Linear qkv, Linear out, Rescaled rescaled) {
    this.qkv = qkv;
    this.out = out;
    this.rescaled = rescaled;
  }

  /** As below, of one without adapters. */
  public Tensor forward(
      Tape tape, Tensor x, Attention shape, @Nullable Rotation rotation, Lookup lookup) {
    return forward(tape, x, shape, rotation, lookup, SitePass.QUIET);
  }

  /**
   * @param x [batch·length, hidden]
   * @param rotation null where positions are not rotary
   * @param lookup what the queries see
   * @return as x
   */
  public Tensor forward(
      Tape tape,
      Tensor x,
      Attention shape,
      @Nullable Rotation rotation,
      Lookup lookup,
      SitePass pass) {
    List<Tensor> heads = heads(tape, qkv.forward(tape, x, pass), shape, rotation, pass);
    Tensor attended = lookup.attend(tape, heads.get(0), heads.get(1), heads.get(2));
    return out.forward(tape, attended, pass);
  }

  private List<Tensor> heads(
      Tape tape, Tensor product, Attention shape, @Nullable Rotation rotation, SitePass pass) {
    Tensor stacked = rescaled(tape, product, rescaled.stacked, pass);
    if (rescaled.keys == null && rescaled.values == null) {
      return SplitHeads.apply(tape, stacked, shape, rotation);
    }
    long queries = (long) shape.queryHeads() * shape.headSize();
    long keys = (long) shape.keyHeads() * shape.headSize();
    List<Tensor> parts = Columns.split(tape, stacked, queries, keys, keys);
    Tensor k = rescaled(tape, parts.get(1), rescaled.keys, pass);
    Tensor v = rescaled(tape, parts.get(2), rescaled.values, pass);
    return List.of(
        SplitHeads.turned(tape, parts.get(0), shape.queryHeads(), rotation),
        SplitHeads.turned(tape, k, shape.keyHeads(), rotation),
        v);
  }

  private static Tensor rescaled(
      Tape tape, Tensor y, Site.@Nullable Rescaling site, SitePass pass) {
    return site == null ? y : site.rescale(tape, y, pass);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    qkv.visit(visitor);
    rescaled.sites().forEach(site -> site.visit(visitor));
    out.visit(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    qkv.visitWeights(visitor);
    rescaled.sites().forEach(site -> Linear.visitWeights(site, visitor));
    out.visitWeights(visitor);
  }

  @Override
  public void close() {
    qkv.close();
    out.close();
  }
}
