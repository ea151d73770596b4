package io.moextend.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Site;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites.Layer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AdaptersTest {
  private Backend b;
  private Arena arena;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("cpu", new Options(1, 0));
    arena = b.arena("adapters");
  }

  @AfterAll
  void close() {
    arena.close();
    b.close();
  }

  /** Hands out given numbers by the end of a parameter's name. */
  private ParameterFactory given(Map<String, double[]> values) {
    return new ParameterFactory() {
      @Override
      public Backend backend() {
        return b;
      }

      @Override
      public Parameter parameter(String name, Role role, Init init, long... shape) {
        double[] own = Objects.requireNonNull(values.get(name), name);
        return new Parameter(name, role, b.doubles(arena, DType.F32, own, shape));
      }
    };
  }

  private Tensor row(double... values) {
    return Tensor.constant(b.doubles(arena, DType.F32, values, 1, values.length));
  }

  private float[] read(Array array) {
    return b.toFloats(arena, array);
  }

  @Test
  void aMixtureOfVectorsIsWhatTheSpecificationsHandCheckSays() {
    // the kernel is [experts, in] in memory
    var from =
        given(
            Map.of(
                "x.wi_0.router.kernel", new double[] {0.5, 0.25, -0.5, 0.75},
                "x.wi_0.mov_scaling", new double[] {1, 2, 3, 4}));
    try (var adapters = new Adapters(from, AdapterConfig.mov(2))) {
      var site = (Site.Rescaling) adapters.at(new Layer("x.wi_0", 7, 2, 1));
      Map<String, float[]> seen = new HashMap<>();
      var pass = new SitePass((n, a) -> seen.put(n, read(a)), (n, t) -> {}, null);
      Tensor out = Objects.requireNonNull(site).rescale(Tape.off(b, arena), row(1, -1), pass);
      assertThat(read(out.data())).containsExactly(new float[] {1.364851f, -2.364851f}, within());
      assertThat(seen).containsOnlyKeys("router.x.wi_0", "adapter_output.x.wi_0");
      assertThat(seen.get("router.x.wi_0"))
          .containsExactly(new float[] {0.817574f, 0.182426f}, within());
    }
  }

  private static Offset<Float> within() {
    return Offset.offset(2e-6f);
  }

  @Test
  void aMixtureOfLowRankIsWhatTheSpecificationsHandCheckSays() {
    var from =
        given(
            Map.of(
                "x.q.lora_A", new double[] {1, 0, 0, 1},
                "x.q.lora_B", new double[] {1, 1, 2, 0},
                "x.q.router.kernel", new double[] {0, 0, 0, 0}));
    try (var adapters = new Adapters(from, AdapterConfig.molora(2, 1))) {
      var site = (Site.Additive) adapters.at(new Layer("x.q", 2, 2, 1));
      Tensor delta =
          Objects.requireNonNull(site).delta(Tape.off(b, arena), row(1, 2), SitePass.QUIET);
      assertThat(read(delta.data())).containsExactly(40, 8);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ia3, 0, 0, large, 282624",
    "ia3, 0, 0, xl, 540672",
    "ia3, 0, 0, xxl, 1081344",
    "mov, 5, 0, large, 2135040",
    "mov, 5, 0, xl, 3978240",
    "mov, 5, 0, xxl, 7910400",
    "mov, 10, 0, large, 4270080",
    "mov, 10, 0, xl, 7956480",
    "mov, 10, 0, xxl, 15820800",
    "mov, 20, 0, large, 8540160",
    "mov, 20, 0, xl, 15912960",
    "mov, 20, 0, xxl, 31641600",
    "mov, 30, 0, large, 12810240",
    "mov, 30, 0, xl, 23869440",
    "mov, 30, 0, xxl, 47462400",
    "mov, 60, 0, large, 25620480",
    "mov, 60, 0, xl, 47738880",
    "mov, 60, 0, xxl, 94924800",
    "lora, 0, 4, large, 3833856",
    "lora, 0, 4, xl, 7471104",
    "lora, 0, 4, xxl, 14942208",
    "lora, 0, 8, large, 7667712",
    "lora, 0, 8, xl, 14942208",
    "lora, 0, 8, xxl, 29884416",
    "lora, 0, 16, large, 15335424",
    "lora, 0, 16, xl, 29884416",
    "lora, 0, 16, xxl, 59768832",
    "molora, 5, 4, large, 21565440",
    "molora, 5, 4, xl, 42024960",
    "molora, 5, 4, xxl, 84049920",
    "molora, 10, 4, large, 43130880",
    "molora, 10, 4, xl, 84049920",
    "molora, 10, 4, xxl, 168099840",
    "molora, 15, 4, large, 64696320",
    "molora, 15, 4, xl, 126074880",
    "molora, 15, 4, xxl, 252149760",
    "ia3, 0, 0, tiny, 448",
    "mov, 10, 0, tiny, 8000",
    "lora, 0, 4, tiny, 5632",
    "molora, 10, 4, tiny, 63360",
    "ia3, 0, 0, base, 104448",
    "mov, 10, 0, base, 1582080",
    "lora, 0, 4, base, 1425408",
    "molora, 10, 4, base, 16035840"
  })
  void countsAreThoseOfTheOriginal(String method, int experts, int rank, String size, long wanted) {
    AdapterConfig config =
        switch (method) {
          case "ia3" -> AdapterConfig.ia3();
          case "mov" -> AdapterConfig.mov(experts);
          case "lora" -> AdapterConfig.lora(rank);
          default -> AdapterConfig.molora(experts, rank);
        };
    long count =
        T5Layers.of(size).all().stream().mapToLong(l -> Adapters.parameters(config, l)).sum();
    assertThat(count).isEqualTo(wanted);
  }

  @Test
  void whereHeadsAreNotAsWideAsTheModelQueriesTakeTheirOwnWidth() {
    var small = new T5Layers(8, 6, 64, 512, 1024); // 384 in its heads
    long r = 4;
    long attention = 3 * r * (512 + 384) + r * (384 + 512);
    long network = r * (512 + 1024) + r * (1024 + 512);
    long count =
        small.all().stream()
            .mapToLong(l -> Adapters.parameters(AdapterConfig.lora((int) r), l))
            .sum();
    assertThat(count).isEqualTo(8 * (3 * attention + 2 * network));
  }

  private static List<String> targeted(AdapterConfig config) {
    var kinds = new TreeSet<String>();
    for (Layer layer : T5Layers.of("tiny").all()) {
      if (new Targets(config).has(layer.module())) {
        kinds.add(Targets.last(layer.module()));
      }
    }
    return new ArrayList<>(kinds);
  }

  @Test
  void sitesAreNamedByTheirEndsOrByWords() {
    AdapterConfig lora = AdapterConfig.lora(2);
    assertThat(targeted(lora)).containsExactly("k", "o", "q", "v", "wi_0", "wo");
    assertThat(targeted(lora.at(List.of("all-linear"))))
        .containsExactly("k", "o", "q", "v", "wi_0", "wi_1", "wo");
    assertThat(targeted(lora.at(List.of("attention")))).containsExactly("k", "o", "q", "v");
    assertThat(targeted(lora.at(List.of("SelfAttention.q", "wo")))).containsExactly("q", "wo");
    assertThat(targeted(AdapterConfig.mov(2))).containsExactly("k", "v", "wi_0");
    assertThat(targeted(AdapterConfig.ia3().at(List.of("attention")))).containsExactly("k", "v");
  }

  @Test
  void aSiteThatTheModelDoesNotHaveIsNamedWithThoseItHas() {
    try (var adapters =
        new Adapters(given(Map.of()), AdapterConfig.lora(2).at(List.of("q_proj")))) {
      assertThat(adapters.at(new Layer("0.SelfAttention.q", 2, 2, 1))).isNull();
      assertThatThrownBy(adapters::requireAllFound)
          .isInstanceOf(ConfigException.class)
          .hasMessage("adapter.target_modules=[q_proj]: this model's layers are [q]");
    }
  }

  @Test
  void whatMultipliesCannotBeHadAtQueries() {
    try (var adapters = new Adapters(given(Map.of()), AdapterConfig.ia3().at(List.of("q")))) {
      assertThatThrownBy(() -> adapters.at(new Layer("0.SelfAttention.q", 2, 2, 1)))
          .isInstanceOf(ConfigException.class)
          .hasMessageStartingWith("adapter.target_modules=q: ia3 multiplies and can be had at [");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 4})
  void moreChosenThanThereAreIsRefused(int topK) {
    assertThatThrownBy(() -> AdapterConfig.mov(3).choosing(topK))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "adapter.topK=%d: write 0 for soft routing, or up to the 3 experts".formatted(topK));
  }

  @Test
  void aMethodIsNotGivenWhatItDoesNotHave() {
    assertThatThrownBy(() -> AdapterConfig.lora(0)).hasMessageContaining("adapter.rank=0");
    assertThatThrownBy(() -> AdapterConfig.ia3().choosing(1))
        .hasMessage("adapter.topK=1: ia3 has no router: 0");
  }

  @Test
  void theSameSeedDrawsTheSameJitterAndAnotherAnother() {
    var config =
        new AdapterConfig(
            AdapterMethod.MOV, 2, 0, 16, 0, 0.5, 0, 0, List.of(Targets.ORIGINAL), 0.02);
    var from =
        given(
            Map.of(
                "x.wi_0.router.kernel", new double[] {0.5, 0.25, -0.5, 0.75},
                "x.wi_0.mov_scaling", new double[] {1, 2, 3, 4}));
    try (var adapters = new Adapters(from, config)) {
      var site = (Site.Rescaling) adapters.at(new Layer("x.wi_0", 7, 2, 1));
      List<float[]> outs = new ArrayList<>();
      for (Long seed : new Long[] {5L, 5L, 6L}) {
        var pass = new SitePass((n, a) -> {}, (n, t) -> {}, seed);
        Tensor out = Objects.requireNonNull(site).rescale(Tape.off(b, arena), row(1, -1), pass);
        outs.add(read(out.data()));
      }
      assertThat(outs.get(0)).isEqualTo(outs.get(1)).isNotEqualTo(outs.get(2));
    }
  }

  @Test
  void routersThatDoNotCareCostOnePerExpertChosenAndTheirLogitsSquare() {
    double z = Math.log(3) * Math.log(3);
    for (int topK : new int[] {0, 1, 2}) {
      var config =
          new AdapterConfig(
              AdapterMethod.MOV, 3, 0, 16, topK, 0, 0.5, 0.25, List.of(Targets.ORIGINAL), 0.02);
      Tape tape = Tape.off(b, arena);
      Tensor logits = Tensor.constant(b.doubles(arena, DType.F32, new double[12], 4, 3));
      var said = new RouterLoss.Said("x", logits, 2, new int[] {1});
      Tensor loss = RouterLoss.of(tape, config, List.of(said, said));
      assertThat(b.toDouble(Objects.requireNonNull(loss).data()))
          .isCloseTo(0.5 + 0.25 * z, Offset.offset(1e-6));
    }
  }

  @Test
  void aConfigWithoutCoefficientsCostsNothing() {
    Tensor logits = Tensor.constant(b.doubles(arena, DType.F32, new double[6], 2, 3));
    var said = new RouterLoss.Said("x", logits, 2, null);
    assertThat(RouterLoss.of(Tape.off(b, arena), AdapterConfig.mov(3), List.of(said))).isNull();
  }
}
