package io.moextend.cli;

import io.moextend.checkpoint.FrozenProof;
import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.demo.DemoData;
import io.moextend.stage.InitReceipt;
import java.util.List;

/**
 * Everything the demo measured.
 *
 * @param stages in the order they ran: pretrain-text, alignment, extension, finetune, full
 * @param marks in the order the models were asked
 * @param seconds of wall clock up to the report
 * @param device what computed
 */
record DemoResults(
    DemoData data,
    List<Trained> stages,
    List<Marks> marks,
    DemoExtension.Counted counted,
    InitReceipt receipt,
    Frozen frozen,
    List<DemoDiary.Part> parts,
    double seconds,
    String device) {
  /**
   * What did not move.
   *
   * @param tensors frozen in finetuning
   * @param moved those of them that are not byte for byte as before it
   * @param fingerprint of the frozen tensors
   * @param old tensors of the pretrained language model
   * @param changed those of them that are not byte for byte in the extended model
   */
  record Frozen(
      int tensors,
      List<FrozenProof.Difference> moved,
      String fingerprint,
      int old,
      List<FrozenProof.Difference> changed) {
    Frozen {
      moved = List.copyOf(moved);
      changed = List.copyOf(changed);
    }
  }

  DemoResults {
    stages = List.copyOf(stages);
    marks = List.copyOf(marks);
    parts = List.copyOf(parts);
  }

  Trained stage(String name) {
    return stages.stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
  }

  Marks marks(String name) {
    return marks.stream().filter(m -> m.name().equals(name)).findFirst().orElseThrow();
  }

  /** How many times the old text perplexity a model has: 1 where nothing was forgotten. */
  double drift(String name) {
    return marks(name).text().value() / marks(DemoChain.PRETRAINED).text().value();
  }
}
