package io.moextend.autograd;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels.Share;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of a backward pass that were not yet asked for: arrays, and products that are still
 * to be made. Those of one tensor (of q, k and v and of each adapter beside them) are made and
 * added in one kernel, without an array for each.
 */
final class Owed {
  /** Products of one tensor that are put off at most, as each keeps an array. */
  private static final int MOST = 8;

  private final Backend backend;
  private final Arena arena;
  private final Ledger ledger;
  private final Map<Recorded.Node, @Nullable Array[]> pending = new IdentityHashMap<>();
  private final Map<Recorded.Node, List<List<Share>>> shares = new IdentityHashMap<>();
  private final List<Recorded.Node> order = new ArrayList<>();

  Owed(Backend backend, Arena arena, Ledger ledger) {
    this.backend = backend;
    this.arena = arena;
    this.ledger = ledger;
  }

  /** The gradients of each op's outputs as far as they are made. */
  Map<Recorded.Node, @Nullable Array[]> pending() {
    return pending;
  }

  private @Nullable Array[] of(Recorded.Node node) {
    return pending.computeIfAbsent(node, n -> new @Nullable Array[n.outputs()]);
  }

  void add(Recorded to, Array gradient) {
    @Nullable Array[] d = of(to.node);
    Array before = d[to.index];
    Array sum = before == null ? gradient : backend.add(arena, before, gradient);
    ledger.hold(sum);
    d[to.index] = sum;
    if (before != null) {
      ledger.release(before);
    }
  }

  /** dY W, to be made later. */
  void add(Recorded to, Array dY, Matrix w) {
    List<List<Share>> all = shares.get(to.node);
    if (all == null) {
      all = new ArrayList<>();
      for (int i = 0; i < to.node.outputs(); i++) {
        all.add(new ArrayList<>());
      }
      shares.put(to.node, all);
      order.add(to.node);
    }
    ledger.hold(dY);
    List<Share> mine = all.get(to.index);
    mine.add(new Share(dY, w));
    if (mine.size() == MOST) {
      settle(to.node, to.index, mine);
    }
  }

  /** Makes all there is. */
  void settle() {
    List.copyOf(order).forEach(this::settle);
  }

  /** Makes what is owed to the outputs of an op. */
  void settle(Recorded.Node node) {
    List<List<Share>> all = shares.remove(node);
    if (all == null) {
      return;
    }
    order.removeIf(n -> n == node); // by identity
    for (int i = 0; i < all.size(); i++) {
      settle(node, i, all.get(i));
    }
  }

  private void settle(Recorded.Node node, int index, List<Share> mine) {
    if (mine.isEmpty()) {
      return;
    }
    @Nullable Array[] d = of(node);
    Array before = d[index];
    long mark = arena.mark();
    Array sum = backend.sumTransposed(arena, before, mine);
    ledger.hold(sum);
    ledger.adopt(arena.since(mark));
    d[index] = sum;
    if (before != null) {
      ledger.release(before);
    }
    mine.forEach(share -> ledger.release(share.dY()));
    mine.clear();
  }
}
