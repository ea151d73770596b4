package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

interface PlainAttentionKernels extends AttentionKernels {
  /** One query head of one sequence against all keys: places of its numbers in the arrays. */
  record Head(Attention shape, int sequence, int head) {
    int queryRow(int query) {
      return sequence * shape.queries() + query;
    }

    int keyRow(int key) {
      return sequence * shape.keys() + key;
    }

    int queryColumn(int i) {
      return head * shape.headSize() + i;
    }

    int keyColumn(int i) {
      return head * shape.keyHeads() / shape.queryHeads() * shape.headSize() + i;
    }

    int perQuery(int query) {
      return (sequence * shape.queryHeads() + head) * shape.queries() + query;
    }

    int biasAt(int query, int key) {
      return (head * shape.queries() + query) * shape.keys() + key;
    }

    boolean sees(int query, int key, @Nullable Sight sight) {
      int at = shape.keys() - shape.queries() + query;
      boolean past = !shape.causal() || key <= at;
      boolean near = shape.window() == 0 || key > at - shape.window();
      if (sight == null || !past || !near) {
        return past && near;
      }
      double number = PlainArray.of(sight.keys()).get(keyRow(key));
      Array queries = sight.queries();
      return number != 0
          && (queries == null || PlainArray.of(queries).get(queryRow(query)) == number);
    }

    /** True where a query sees nothing and shall get the mean of all values. */
    boolean uniform(int query, @Nullable Sight sight) {
      return sight != null
          && sight.uniformWhenBlind()
          && IntStream.range(0, shape.keys()).noneMatch(key -> sees(query, key, sight));
    }

    double score(int query, int key, Array q, Array k, @Nullable Array bias) {
      double dot = 0;
      for (int i = 0; i < shape.headSize(); i++) {
        dot +=
            PlainArray.of(q).get(queryRow(query), queryColumn(i))
                * PlainArray.of(k).get(keyRow(key), keyColumn(i));
      }
      return dot * shape.scale() + (bias == null ? 0 : PlainArray.of(bias).get(biasAt(query, key)));
    }
  }

  @Override
  default Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Sight sight,
      @Nullable Array bias) {
    PlainArray out = zeros(to, q.shape());
    PlainArray sums = zeros(to, shape.batch(), shape.queryHeads(), shape.queries());
    for (Head head : heads(shape)) {
      for (int query = 0; query < shape.queries(); query++) {
        double sum = 0;
        boolean blind = head.uniform(query, sight);
        for (int key = 0; key < shape.keys(); key++) {
          if (blind || head.sees(query, key, sight)) {
            double e = blind ? 1 : Math.exp(head.score(query, key, q, k, bias));
            sum += e;
            for (int i = 0; i < shape.headSize(); i++) {
              out.add(
                  head.queryRow(query),
                  head.queryColumn(i),
                  e * PlainArray.of(v).get(head.keyRow(key), head.keyColumn(i)));
            }
          }
        }
        sums.set(head.perQuery(query), blind ? Double.NEGATIVE_INFINITY : Math.log(sum));
        for (int i = 0; sum > 0 && i < shape.headSize(); i++) {
          int row = head.queryRow(query);
          out.set(row, head.queryColumn(i), out.get(row, head.queryColumn(i)) / sum);
        }
      }
    }
    return new Attended(out, sums);
  }

  @Override
  default AttentionGradients attendBackward(
      Arena to,
      Attention shape,
      Array dOut,
      Array q,
      Array k,
      Array v,
      Attended forward,
      @Nullable Sight sight,
      @Nullable Array bias,
      boolean wantBias) {
    PlainArray dQ = zeros(to, q.shape());
    PlainArray dK = zeros(to, k.shape());
    PlainArray dV = zeros(to, v.shape());
    PlainArray dBias = zeros(to, shape.queryHeads(), shape.queries(), shape.keys());
    var gradients = new AttentionGradients(dQ, dK, dV, dBias);
    for (Head head : heads(shape)) {
      for (int query = 0; query < shape.queries(); query++) {
        double along = 0;
        if (head.uniform(query, sight)) {
          spread(head, query, dOut, dV);
        }
        for (int i = 0; i < shape.headSize(); i++) {
          int at = head.queryColumn(i);
          along +=
              PlainArray.of(dOut).get(head.queryRow(query), at)
                  * PlainArray.of(forward.out()).get(head.queryRow(query), at);
        }
        for (int key = 0; key < shape.keys(); key++) {
          if (head.sees(query, key, sight)) {
            double logs = PlainArray.of(forward.logSumExp()).get(head.perQuery(query));
            double p = Math.exp(head.score(query, key, q, k, bias) - logs);
            backward(head, query, key, p, along, dOut, q, k, v, gradients);
          }
        }
      }
    }
    return new AttentionGradients(dQ, dK, dV, wantBias ? dBias : null);
  }

  /** Adds what a query that was given the mean of all values passes on to them. */
  private static void spread(Head head, int query, Array dOut, PlainArray dV) {
    for (int key = 0; key < head.shape().keys(); key++) {
      for (int i = 0; i < head.shape().headSize(); i++) {
        double d = PlainArray.of(dOut).get(head.queryRow(query), head.queryColumn(i));
        dV.add(head.keyRow(key), head.keyColumn(i), d / head.shape().keys());
      }
    }
  }

  /** Adds what one query and one key it sees with probability p pass on. */
  private static void backward(
      Head head,
      int query,
      int key,
      double p,
      double along,
      Array dOut,
      Array q,
      Array k,
      Array v,
      AttentionGradients into) {
    int row = head.queryRow(query);
    int keyRow = head.keyRow(key);
    int size = head.shape().headSize();
    double dP = 0;
    for (int i = 0; i < size; i++) {
      double d = PlainArray.of(dOut).get(row, head.queryColumn(i));
      dP += d * PlainArray.of(v).get(keyRow, head.keyColumn(i));
      PlainArray.of(into.dV()).add(keyRow, head.keyColumn(i), p * d);
    }
    double dScore = p * (dP - along);
    PlainArray dBias = PlainArray.of(Objects.requireNonNull(into.dBias()));
    int at = head.biasAt(query, key);
    dBias.set(at, dBias.get(at) + dScore);
    for (int i = 0; i < size; i++) {
      double scaled = dScore * head.shape().scale();
      double keyValue = PlainArray.of(k).get(keyRow, head.keyColumn(i));
      double queryValue = PlainArray.of(q).get(row, head.queryColumn(i));
      PlainArray.of(into.dQ()).add(row, head.queryColumn(i), scaled * keyValue);
      PlainArray.of(into.dK()).add(keyRow, head.keyColumn(i), scaled * queryValue);
    }
  }

  private static List<Head> heads(Attention shape) {
    var heads = new ArrayList<Head>();
    for (int sequence = 0; sequence < shape.batch(); sequence++) {
      for (int head = 0; head < shape.queryHeads(); head++) {
        heads.add(new Head(shape, sequence, head));
      }
    }
    return heads;
  }

  private static PlainArray zeros(Arena to, long... shape) {
    PlainArray zeros = PlainArray.of(to.allocate(DType.F64, shape));
    for (int i = 0; i < zeros.size(); i++) {
      zeros.set(i, 0);
    }
    return zeros;
  }
}
