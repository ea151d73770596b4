package io.moextend.cli;

import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.demo.DemoData;
import io.moextend.stage.ActivatedParameters;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.convert.LogitReceipt;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Everything MoIIE's demo measured.
 *
 * @param before the stages that all four models have behind them
 * @param connected the dense model with its projector, before the last stage
 * @param rivals dense, vanilla, modality, MoIIE
 * @param seconds of wall clock up to the report
 * @param device what computed
 */
record MoiieDemoResults(
    DemoData data,
    List<Trained> before,
    Marks connected,
    List<Rival> rivals,
    List<DemoDiary.Part> parts,
    double seconds,
    String device) {
  /**
   * One of the four.
   *
   * @param name as the paper has it
   * @param sft its last stage
   * @param logits what growing it changed; null for the one that was not grown
   * @param routing of its tokens over the test's questions; null where it has no experts
   */
  record Rival(
      String name,
      Trained sft,
      Marks marks,
      ActivatedParameters parameters,
      @Nullable LogitReceipt logits,
      @Nullable RoutingStatistics routing) {}

  MoiieDemoResults {
    before = List.copyOf(before);
    rivals = List.copyOf(rivals);
    parts = List.copyOf(parts);
  }

  /** In the order they ran. */
  List<Trained> stages() {
    var stages = new ArrayList<>(before);
    rivals.forEach(rival -> stages.add(rival.sft()));
    return stages;
  }
}
