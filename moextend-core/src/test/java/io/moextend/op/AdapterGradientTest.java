package io.moextend.op;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterMethod;
import io.moextend.adapter.Adapters;
import io.moextend.adapter.RouterLoss;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.nn.Linear;
import io.moextend.nn.Lookup;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.SelfAttention;
import io.moextend.nn.Site;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The ops that adapters are made of: backward is the derivative of forward. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AdapterGradientTest {
  private Backend b;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("nd4j", new Options(1, 0));
  }

  @AfterAll
  void close() {
    b.close();
  }

  private GradientCheck check(long seed) {
    return new GradientCheck(b, seed);
  }

  @ParameterizedTest
  @ValueSource(longs = {2})
  void mixturesOfVectors(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int heads = c.size(3);
      int experts = c.size(4);
      int size = c.size(5);
      c.input(rows, (long) heads * size)
          .input((long) rows * heads, experts)
          .input(heads, experts, size)
          .agree((t, x) -> List.of(Rescale.apply(t, x.get(0), x.get(1), x.get(2))));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {2})
  void blocksOfColumns(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int experts = c.size(3);
      c.input(rows, (long) experts * c.size(3))
          .input(rows, experts)
          .agree((t, x) -> List.of(ScaleBlocks.apply(t, Scale.apply(t, x.get(0), -1.5), x.get(1))));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {2})
  void productsThatTurnBackAndStackedWeights(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int experts = c.size(3);
      int rank = c.size(3);
      int in = c.size(4);
      int out = c.size(4);
      Weight a = stacked(c.parameter(experts, rank, in));
      Weight w = stacked(c.parameter(experts, rank, out));
      try (a;
          w) {
        c.input(rows, in)
            .agree((t, x) -> List.of(Project.transposed(t, Project.apply(t, x.getFirst(), a), w)));
      }
    }
  }

  private Weight stacked(Parameter parameter) {
    return Weight.stacked(b, parameter);
  }

  @ParameterizedTest
  @ValueSource(longs = {2})
  void whatIsAddedToColumns(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int before = c.size(3);
      int first = c.size(3);
      int second = c.size(3);
      c.input(rows, before + first + second)
          .input(rows, first)
          .input(rows, second)
          .input(rows, before + first + second)
          .agree(
              (t, x) -> {
                Tensor own = Add.scaled(t, x.get(0), x.get(0), 1); // the sum overwrites it
                return List.of(
                    AddColumns.into(
                        t,
                        own,
                        List.of(
                            new AddColumns.Addend(before, x.get(1)),
                            new AddColumns.Addend(before + first, x.get(2)),
                            new AddColumns.Addend(0, x.get(3)))));
              });
    }
  }

  @Test
  void columnsThatWereSplit() {
    try (var c = check(7)) {
      c.input(3, 6)
          .agree(
              (t, x) -> {
                List<Tensor> parts = Columns.split(t, x.getFirst(), 2, 1, 3);
                return List.of(parts.get(0), Scale.apply(t, parts.get(2), 3));
              });
    }
  }

  @Test
  void theLargestSharesOfEachRow() {
    try (var c = check(8)) {
      c.input(5, 4)
          .agree((t, x) -> List.of(Route.largest(t, Route.probabilities(t, x.getFirst()), 2)));
    }
  }

  @Test
  void theLargestAreKeptAsTheyAreAndAmongEqualsTheFirst() {
    try (Arena arena = b.arena("shares")) {
      double[] p = {0.25, 0.25, 0.25, 0.25, 0.1, 0.2, 0.4, 0.3};
      Array shares = b.doubles(arena, DType.F64, p, 2, 4);
      Tensor kept = Route.largest(Tape.off(b, arena), Tensor.constant(shares), 2);
      assertThat(b.toFloats(arena, kept.data()))
          .containsExactly(0.25f, 0.25f, 0, 0, 0, 0, 0.4f, 0.3f);
    }
  }

  private static List<AdapterConfig> methods() {
    return List.of(
        AdapterConfig.ia3(),
        AdapterConfig.mov(3).choosing(2),
        AdapterConfig.lora(2),
        AdapterConfig.molora(2, 2).choosing(1));
  }

  private Adapters adapters(GradientCheck c, AdapterConfig config) {
    return new Adapters(
        new ParameterFactory() {
          @Override
          public Backend backend() {
            return b;
          }

          @Override
          public Parameter parameter(String name, Role role, Init init, long... shape) {
            return c.parameter(shape);
          }
        },
        config);
  }

  @ParameterizedTest
  @MethodSource("methods")
  void everySiteOfEveryMethod(AdapterConfig config) {
    try (var c = check(11);
        var adapters = adapters(c, config.scaledBy(1))) {
      Site keys = adapters.at(new Sites.Layer("0.k", 4, 4, 2));
      Site inner = adapters.at(new Sites.Layer("0.wi_0", 4, 4, 1));
      c.input(2, 4)
          .agree(
              (t, x) -> List.of(applied(t, keys, x.getFirst()), applied(t, inner, x.getFirst())));
    }
  }

  private static Tensor applied(Tape tape, @Nullable Site site, Tensor x) {
    return switch (site) {
      case Site.Additive additive -> additive.delta(tape, x, SitePass.QUIET);
      case Site.Rescaling rescaling -> rescaling.rescale(tape, x, SitePass.QUIET);
      case null -> throw new AssertionError("no site");
    };
  }

  @Test
  void anAttentionWithDeltasOfQueriesAndValuesAlone() {
    try (var c = check(12);
        var adapters = adapters(c, AdapterConfig.molora(2, 1).scaledBy(1))) {
      Linear qkv =
          new Linear(
              c.weight(List.of(c.parameter(12, 3)), List.of(c.parameter(12))),
              List.of(part(adapters, "q_proj", 0, 3, 4), part(adapters, "v_proj", 8, 3, 4)));
      Linear out =
          new Linear(
              c.weight(List.of(c.parameter(3, 4)), List.of()),
              List.of(part(adapters, "o_proj", 0, 4, 3)));
      agree(c, new SelfAttention(qkv, out, SelfAttention.Rescaled.NOTHING));
    }
  }

  private static Linear.Part part(
      Adapters adapters, String module, long from, long in, long width) {
    Site site = adapters.at(new Sites.Layer(module, in, width, 1));
    return new Linear.Part(from, (Site.Additive) Objects.requireNonNull(site));
  }

  @Test
  void anAttentionWhoseKeysAndValuesAreMultiplied() {
    try (var c = check(14);
        var adapters = adapters(c, AdapterConfig.mov(2).at(List.of("all-linear")))) {
      var linear = new Linear(c.weight(List.of(c.parameter(12, 3)), List.of()));
      var out = new Linear(c.weight(List.of(c.parameter(3, 4)), List.of()));
      var rescaled =
          new SelfAttention.Rescaled(
              rescaling(adapters, "qkv_proj", 12, 6),
              rescaling(adapters, "k_proj", 4, 2),
              rescaling(adapters, "v_proj", 4, 2));
      agree(c, new SelfAttention(linear, out, rescaled));
    }
  }

  private static Site.Rescaling rescaling(Adapters adapters, String module, long width, int heads) {
    Site site = adapters.at(new Sites.Layer(module, 3, width, heads));
    return (Site.Rescaling) Objects.requireNonNull(site);
  }

  /** With two heads of two numbers, rotated. */
  private static void agree(GradientCheck c, SelfAttention attention) {
    var shape = new Attention(1, 3, 3, 2, 2, 2, 0.7, true, 0);
    var rotation =
        new SplitHeads.Rotation(c.ints(new int[] {0, 1, 2}, 3), c.numbers(3, 1), c.numbers(3, 1));
    c.input(3, 3)
        .agree(
            (t, x) ->
                List.of(
                    attention.forward(
                        t,
                        x.getFirst(),
                        shape,
                        rotation,
                        Lookup.within(shape, null),
                        SitePass.QUIET)));
  }

  @Test
  void whatIsSaidOfRouters() {
    AdapterConfig config =
        new AdapterConfig(AdapterMethod.MOV, 3, 0, 16, 2, 0, 0.3, 0.7, List.of("original"), 0.02);
    try (var c = check(13)) {
      c.input(4, 3)
          .input(4, 3)
          .agree(
              (t, x) ->
                  List.of(
                      Objects.requireNonNull(
                          RouterLoss.of(
                              t,
                              config,
                              List.of(
                                  new RouterLoss.Said("a", x.get(0), 4, null),
                                  new RouterLoss.Said("b", x.get(1), 2, new int[] {1}))))));
    }
  }
}
