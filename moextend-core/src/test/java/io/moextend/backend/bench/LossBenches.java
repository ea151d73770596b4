package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.backend.LossKernels.Weighting;
import java.util.List;
import java.util.stream.Stream;

final class LossBenches {
  private static final BalanceForm FORM = BalanceForm.PER_LAYER;

  private LossBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(entropy(), weighted(), balance()).flatMap(cases -> cases);
  }

  private static Stream<KernelCase> entropy() {
    return Stream.of(
        moving(
            "crossEntropy",
            LossBenches::logits,
            s -> s.narrow((long) s.wide() * s.vocabulary()),
            bed -> {
              Setting s = bed.setting();
              Array logits = bed.values(s.wide(), s.vocabulary());
              Array targets = bed.ints(s.vocabulary(), s.wide());
              return to -> bed.backend().crossEntropy(to, logits, targets, s.wide());
            }),
        moving(
            "crossEntropyBackward",
            LossBenches::logits,
            s -> s.narrow(2L * s.wide() * s.vocabulary()),
            bed -> {
              Setting s = bed.setting();
              Array logits = bed.values(s.wide(), s.vocabulary());
              Array targets = bed.ints(s.vocabulary(), s.wide());
              Array one = bed.backend().floats(bed.arena(), DType.F32, new float[] {1}, 1);
              var forward = bed.backend().crossEntropy(bed.arena(), logits, targets, s.wide());
              return to ->
                  bed.backend().crossEntropyBackward(to, one, logits, targets, forward, s.wide());
            }));
  }

  /** Of T5: logits are wide, rows weigh differently. */
  private static Stream<KernelCase> weighted() {
    return Stream.of(
        moving(
            "weightedCrossEntropy",
            LossBenches::logits,
            s -> s.narrow((long) s.wide() * s.vocabulary()),
            bed -> {
              Setting s = bed.setting();
              Array logits = bed.values(s.wide(), s.vocabulary());
              Array targets = bed.ints(s.vocabulary(), s.wide());
              Weighting how = weighting(bed);
              return to -> bed.backend().weightedCrossEntropy(to, logits, targets, how);
            }),
        moving(
            "weightedCrossEntropyBackward",
            LossBenches::logits,
            s -> s.narrow(2L * s.wide() * s.vocabulary()),
            bed -> {
              Setting s = bed.setting();
              Backend b = bed.backend();
              Array logits = bed.values(s.wide(), s.vocabulary());
              Array targets = bed.ints(s.vocabulary(), s.wide());
              Array one = b.floats(bed.arena(), DType.F32, new float[] {1}, 1);
              Weighting how = weighting(bed);
              var forward = b.weightedCrossEntropy(bed.arena(), logits, targets, how);
              return to -> b.weightedCrossEntropyBackward(to, one, logits, targets, how, forward);
            }));
  }

  private static Weighting weighting(Bed bed) {
    return new Weighting(bed.positive(DType.F32, bed.setting().wide()), 1e-4, 0, 8);
  }

  private static Stream<KernelCase> balance() {
    return Stream.of(
        moving(
            "balance",
            LossBenches::layers,
            s -> 4 * Setting.inF32(s.routedExperts() + s.routedChoices()),
            bed -> {
              List<Array> p = probabilities(bed);
              List<Array> chosen = chosen(bed, p);
              return to -> bed.backend().balance(to, p, chosen, null, FORM, 0.01);
            }),
        moving(
            "balanceBackward",
            LossBenches::layers,
            s -> 4 * Setting.inF32(s.routedExperts()),
            bed -> {
              List<Array> p = probabilities(bed);
              Array one = bed.backend().floats(bed.arena(), DType.F32, new float[] {1}, 1);
              var forward = bed.backend().balance(bed.arena(), p, chosen(bed, p), null, FORM, 0.01);
              return to -> bed.backend().balanceBackward(to, one, p, null, forward, FORM, 0.01);
            }));
  }

  /** Four layers, as the model has. */
  private static List<Array> probabilities(Bed bed) {
    Setting s = bed.setting();
    return Stream.generate(() -> bed.positive(DType.F32, s.routed(), s.experts()))
        .limit(4)
        .toList();
  }

  private static List<Array> chosen(Bed bed, List<Array> probabilities) {
    int k = bed.setting().topK();
    return probabilities.stream().map(p -> bed.backend().topK(bed.arena(), p, k)).toList();
  }

  private static String layers(Setting s) {
    return "4 of [%d, %d]".formatted(s.routed(), s.experts());
  }

  private static String logits(Setting s) {
    return "[%d, %d]".formatted(s.wide(), s.vocabulary());
  }
}
