package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.op.Project;
import io.moextend.op.SplitHeads;
import io.moextend.op.SplitHeads.Rotation;
import io.moextend.op.Weight;
import io.moextend.op.Weighted;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Multi-head attention of a sequence with itself; q, k and v are one product. */
public final class SelfAttention implements Module, Weighted, AutoCloseable {
  private final Weight qkv;
  private final Weight out;

  /**
   * @param qkv q, k and v stacked: [(queryHeads + 2·keyHeads)·headSize, hidden]
   * @param out [hidden, queryHeads·headSize]
   */
  public SelfAttention(Weight qkv, Weight out) {
    this.qkv = qkv;
    this.out = out;
  }

  /**
   * @param x [batch·length, hidden]
   * @param rotation null where positions are not rotary
   * @param lookup what the queries see
   * @return as x
   */
  public Tensor forward(
      Tape tape, Tensor x, Attention shape, @Nullable Rotation rotation, Lookup lookup) {
    Tensor stacked = Project.apply(tape, x, qkv);
    List<Tensor> heads = SplitHeads.apply(tape, stacked, shape, rotation);
    Tensor attended = lookup.attend(tape, heads.get(0), heads.get(1), heads.get(2));
    return Project.apply(tape, attended, out);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    qkv.parts().forEach(visitor);
    qkv.biases().forEach(visitor);
    out.parts().forEach(visitor);
    out.biases().forEach(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(qkv);
    visitor.accept(out);
  }

  @Override
  public void close() {
    qkv.close();
    out.close();
  }
}
