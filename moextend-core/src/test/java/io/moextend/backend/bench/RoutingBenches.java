package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.Dispatch;
import java.util.function.Function;
import java.util.stream.Stream;

final class RoutingBenches {
  private RoutingBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.concat(scores(), rows());
  }

  private static Stream<KernelCase> scores() {
    return Stream.of(
        scored(
            "softmax",
            s -> Setting.inF32(2 * s.routedExperts()),
            bed -> {
              Array logits = scores(bed);
              return to -> bed.backend().softmax(to, logits);
            }),
        scored(
            "softmaxBackward",
            s -> Setting.inF32(3 * s.routedExperts()),
            bed -> {
              Array p = scores(bed);
              Array d = scores(bed);
              return to -> bed.backend().softmaxBackward(to, d, p);
            }),
        scored(
            "topK",
            s -> Setting.inF32(s.routedExperts() + s.routedChoices()),
            bed -> {
              Array p = scores(bed);
              return to -> bed.backend().topK(to, p, bed.setting().topK());
            }),
        scored(
            "pick",
            s -> Setting.inF32(s.routedExperts() + 2 * s.routedChoices()),
            bed -> {
              Array p = scores(bed);
              Array chosen = bed.backend().topK(bed.arena(), p, bed.setting().topK());
              return to -> bed.backend().pick(to, p, chosen, true);
            }),
        scored(
            "pickBackward",
            s -> Setting.inF32(2 * s.routedExperts() + 2 * s.routedChoices()),
            bed -> {
              Array p = scores(bed);
              Array chosen = bed.backend().topK(bed.arena(), p, bed.setting().topK());
              Array d = bed.values(DType.F32, chosen.shape());
              return to -> bed.backend().pickBackward(to, d, p, chosen, true);
            }),
        scored(
            "dispatch",
            s -> Setting.inF32(3 * s.routedChoices()),
            bed -> {
              Array chosen = bed.chosen(bed.setting().routed());
              return to -> bed.backend().dispatch(to, chosen, bed.setting().experts());
            }));
  }

  private static Array scores(Bed bed) {
    return bed.positive(DType.F32, bed.setting().routed(), bed.setting().experts());
  }

  private static KernelCase scored(
      String name,
      java.util.function.ToLongFunction<Setting> traffic,
      Function<Bed, KernelCase.Call> prepare) {
    return moving(name, s -> "[%d, %d]".formatted(s.routed(), s.experts()), traffic, prepare);
  }

  /** What moves rows: the rows, their tokens' weights and where they go. */
  private record Routed(Backend backend, Array tokens, Array rows, Array weights, Dispatch to) {
    static Routed of(Bed bed) {
      Setting s = bed.setting();
      Backend b = bed.backend();
      Dispatch dispatch = b.dispatch(bed.arena(), bed.chosen(s.tokens()), s.experts());
      return new Routed(
          b,
          bed.values(s.tokens(), s.hidden()),
          bed.values(dispatch.rows(), s.hidden()),
          bed.positive(DType.F32, s.tokens(), s.topK()),
          dispatch);
    }
  }

  private static Stream<KernelCase> rows() {
    return Stream.of(
        moved("permute", 2, r -> to -> r.backend.permute(to, r.tokens, r.to)),
        moved("permuteBackward", 2, r -> to -> r.backend.permuteBackward(to, r.rows, r.to)),
        moved("combine", 2, r -> to -> r.backend.combine(to, r.rows, r.weights, r.to)),
        moved(
            "combineBackward",
            3,
            r -> to -> r.backend.combineBackward(to, r.tokens, r.rows, r.weights, r.to)));
  }

  /**
   * @param arrays how many arrays of tokens or rows there are; the first is of tokens, others of
   *     rows
   */
  private static KernelCase moved(
      String name, int arrays, Function<Routed, KernelCase.Call> kernel) {
    return moving(
        name,
        s -> "[%d of %d, %d]".formatted(s.topK(), s.tokens(), s.hidden()),
        s -> s.narrow(s.tokensHidden() + (arrays - 1) * s.rowsHidden()),
        bed -> kernel.apply(Routed.of(bed)));
  }
}
