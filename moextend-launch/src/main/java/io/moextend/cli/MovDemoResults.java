package io.moextend.cli;

import io.moextend.cli.DemoStages.Trained;
import io.moextend.eval.RankExamination;
import io.moextend.train.AdapterSection.Method;
import java.util.List;
import java.util.stream.Stream;

/**
 * What the adapters' demo found.
 *
 * @param pretrained the base
 * @param before what the base answers
 * @param device backend and processor
 */
record MovDemoResults(
    Trained pretrained,
    RankExamination.Result before,
    List<Pupil> pupils,
    List<DemoDiary.Part> parts,
    double seconds,
    String device) {
  MovDemoResults {
    pupils = List.copyOf(pupils);
    parts = List.copyOf(parts);
  }

  /**
   * One method.
   *
   * @param trained numbers that it trains
   * @param share of the base's numbers
   */
  record Pupil(
      Method method, Trained run, RankExamination.Result marks, long trained, double share) {
    /** Share of right answers, 0 to 1. */
    double accuracy() {
      return marks.averages().average() / 100;
    }
  }

  /** The base's run first. */
  List<Trained> stages() {
    return Stream.concat(Stream.of(pretrained), pupils.stream().map(Pupil::run)).toList();
  }
}
