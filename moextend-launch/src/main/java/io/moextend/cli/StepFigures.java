package io.moextend.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.bench.StepBench;
import io.moextend.comm.device.Exposure;
import io.moextend.optim.AdamW;
import io.moextend.shard.MemoryPlan;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ZeroStage;
import io.moextend.train.DistributedSection;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/**
 * What {@code bench step} measured, as its line of JSON.
 *
 * @param start seconds from the process' start to the first step's end, without those that making
 *     random weights took
 * @param counted steps after the warm-up
 * @param losses of all steps
 * @param peaks of each rank: bytes of the process, and of its arrays
 */
record StepFigures(double start, List<Timed> counted, List<Double> losses, double[][] peaks) {
  /**
   * One step of all ranks.
   *
   * @param liveBytes of arrays after it
   */
  record Timed(double seconds, Exposure exchange, double loss, long liveBytes) {}

  private double median(ToDoubleFunction<Timed> of) {
    return Medians.of(counted.stream().map(of::applyAsDouble).toList());
  }

  ObjectNode line(
      Backend backend, StepBench.Work work, StepBench bench, DistributedSection sharing) {
    int world = peaks.length;
    double median = median(Timed::seconds);
    ObjectNode line = new JsonMapper().createObjectNode();
    line.put("architecture", work.model().toString());
    line.put("stage", work.stage().word());
    line.put("dtype", work.dtype().toString().toLowerCase(Locale.ROOT));
    line.put("size", work.size().toString());
    line.put("routing", work.routing().toString());
    line.put("backend", backend.name());
    line.put("device", backend.device());
    line.put("tokens_per_s", Medians.rounded(world * work.size().tokens() / median, 1));
    line.put("step_s", Medians.rounded(median, 4));
    bench
        .neededFlops()
        .ifPresent(
            flops -> {
              line.put("needed_tflop", Medians.rounded(world * flops / 1e12, 6));
              line.put("needed_tflop_s", Medians.rounded(world * flops / 1e12 / median, 4));
            });
    ArrayNode all = line.putArray("step_s_all");
    counted.forEach(step -> all.add(Medians.rounded(step.seconds(), 3)));
    line.put("first_step_s", Medians.rounded(start, 2));
    line.put("peak_bytes", ProcessMemory.peakBytes());
    putMemory(line, bench, sharing);
    if (world > 1) {
      putExchange(line);
    }
    line.put("trainable", bench.trained().stream().mapToLong(Parameter::size).sum());
    ArrayNode values = line.putArray("loss");
    losses.forEach(l -> values.add(Medians.rounded(l, 6)));
    return line;
  }

  private void putMemory(ObjectNode line, StepBench bench, DistributedSection sharing) {
    line.put("zero_stage", sharing.zeroStage());
    line.put("state_bytes", stateBytes(bench, sharing));
    long[] layers = layerBytes(bench);
    line.put("layer_weight_bytes", Arrays.stream(layers).sum());
    line.put("largest_layer_bytes", Arrays.stream(layers).max().orElse(0));
    ArrayNode ranks = line.putArray("arrays_peak_bytes");
    Arrays.stream(peaks).forEach(p -> ranks.add((long) p[1]));
    ArrayNode live = line.putArray("arrays_live_bytes"); // grows where a step leaves something
    live.add(counted.getFirst().liveBytes());
    live.add(counted.getLast().liveBytes());
  }

  private void putExchange(ObjectNode line) {
    line.put("nproc", peaks.length);
    line.put("communication_s", seconds(t -> t.exchange().totalSeconds()));
    line.put("communication_exposed_s", seconds(t -> t.exchange().exposedSeconds()));
    line.put("waited_for_late_ranks_s", seconds(t -> t.exchange().lateSeconds()));
  }

  private double seconds(ToDoubleFunction<Timed> of) {
    return Medians.rounded(median(of), 4);
  }

  /** Gradients, masters, state and what is on its way, as the layout predicts it for a rank. */
  private long stateBytes(StepBench bench, DistributedSection sharing) {
    int world = peaks.length;
    ZeroStage zero = ZeroStage.of(world == 1 ? 0 : sharing.zeroStage());
    ParameterLayout layout = RankOptimizer.layout(bench.model(), sharing, world);
    return MemoryPlan.of(layout, zero, AdamW.PUBLISHED, layout.wide()).total();
  }

  /** Of the matrices in each decoder layer. */
  private static long[] layerBytes(StepBench bench) {
    return bench.model().layerWeights().stream()
        .mapToLong(
            layer ->
                layer.stream()
                    .flatMap(weight -> weight.parts().stream())
                    .mapToLong(part -> part.size() * part.dtype().bytes())
                    .sum())
        .toArray();
  }
}
