package io.moextend.stage;

import io.moextend.data.Batch;
import io.moextend.model.Routing;
import io.moextend.moe.Router.Window;
import io.moextend.moe.TokenGroup;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SortedMap;
import java.util.stream.IntStream;

/** Sums over the tokens of one kind in one layer, from a pass' logits and nothing else. */
final class Recount {
  long tokens;
  final long[] slots = new long[16];
  final long[] first = new long[16];
  final double[] weight = new double[16];

  void token(List<Integer> experts, double[] weights) {
    tokens++;
    first[experts.getFirst()]++;
    for (int j = 0; j < experts.size(); j++) {
      slots[experts.get(j)]++;
      weight[experts.get(j)] += weights[j];
    }
  }

  private static boolean isPatch(Batch batch, int row, int column) {
    return column >= 0
        && column < batch.length()
        && batch.images().stream()
            .anyMatch(
                i ->
                    i.row() == row
                        && column >= i.firstSlot()
                        && column < i.firstSlot() + i.slots());
  }

  private static boolean isVision(Batch batch, int token, boolean asRouted) {
    int row = token / batch.length();
    int column = token % batch.length();
    return isPatch(batch, row, column) && (!asRouted || isPatch(batch, row, column + 1));
  }

  /** From the router's logits by hand: softmax in the window, sort, divide by the sum. */
  static void over(
      TinyMixture model, Batch batch, boolean asRouted, SortedMap<Integer, Recount[]> layers) {
    model.pass(
        batch,
        (arena, output) -> {
          for (Routing routing : output.routings()) {
            float[] logits = model.backend.toFloats(arena, routing.logits().data());
            int columns = logits.length / batch.ids().length;
            Recount[] counts = layers.computeIfAbsent(routing.layer(), l -> fresh());
            for (int t = 0; t < batch.ids().length; t++) {
              if (batch.mask()[t] != 0) {
                boolean vision = isVision(batch, t, asRouted);
                float[] row = Arrays.copyOfRange(logits, t * columns, (t + 1) * columns);
                count(row, window(routing, vision), vision, model, counts);
              }
            }
          }
          return null;
        });
  }

  private static Recount[] fresh() {
    return new Recount[] {new Recount(), new Recount(), new Recount()};
  }

  private static Window window(Routing routing, boolean vision) {
    return routing.windows().stream()
        .filter(
            w ->
                w.group() == TokenGroup.ALL
                    || w.group() == (vision ? TokenGroup.VISION : TokenGroup.TEXT))
        .findFirst()
        .orElseThrow();
  }

  private static void count(
      float[] logits, Window window, boolean vision, TinyMixture model, Recount[] counts) {
    int k = ExpertLayers.of(model.decoder.config()).topK();
    List<Integer> chosen =
        IntStream.range(window.column(), window.column() + window.columns())
            .boxed()
            .sorted(Comparator.comparingDouble(c -> -logits[c]))
            .limit(k)
            .toList();
    double[] weights =
        chosen.stream().mapToDouble(c -> Math.exp(logits[c] - logits[chosen.getFirst()])).toArray();
    double sum = Arrays.stream(weights).sum();
    double[] shares = Arrays.stream(weights).map(w -> w / sum).toArray();
    List<Integer> experts =
        chosen.stream().map(c -> c - window.column() + window.expert()).toList();
    counts[TokenGroup.ALL.ordinal()].token(experts, shares);
    counts[(vision ? TokenGroup.VISION : TokenGroup.TEXT).ordinal()].token(experts, shares);
  }

  /** Nothing to choose: vision tokens to the first network, text to the second. */
  static Recount[] byModality(Batch... batches) {
    Recount[] counts = fresh();
    for (Batch batch : batches) {
      for (int t = 0; t < batch.ids().length; t++) {
        if (batch.mask()[t] != 0) {
          boolean vision = isVision(batch, t, true);
          List<Integer> expert = List.of(vision ? 0 : 1);
          counts[TokenGroup.ALL.ordinal()].token(expert, new double[] {1});
          counts[(vision ? TokenGroup.VISION : TokenGroup.TEXT).ordinal()].token(
              expert, new double[] {1});
        }
      }
    }
    return counts;
  }
}
