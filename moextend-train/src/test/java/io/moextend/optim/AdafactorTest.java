package io.moextend.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import io.moextend.optim.UpdateRule.State;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AdafactorTest {
  private static List<State> state(Adafactor rule, Role role, long... shape) {
    try (Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
        Arena arena = backend.arena("parameter")) {
      return rule.state(new Parameter("p", role, arena.allocate(DType.F32, shape)));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 0.42565084",
    "10, 0.85314596",
    "100, 0.97508031",
    "1000, 0.99602211",
    "1100000, 0.99998534",
    "1600000, 0.99998909"
  })
  void theMeanForgetsAsInTheOriginalAfterSoManySteps(long done, float decay) {
    assertThat(Adafactor.from(0).decay(done)).isCloseTo(decay, within(6e-8f));
  }

  /** The exact value is 1.4662e-5 or so: what float32 makes of it is 246 · 2^-24. */
  @Test
  void whatIsMixedInAfterAMillionStepsHasTheOriginalsRounding() {
    float mixed = 1 - Adafactor.from(0).decay(Adafactor.PUBLISHED_START);
    assertThat(mixed).isEqualTo(1.4662743e-5f);
  }

  @Test
  void longSidesAreFactoredAndShortOnesVectorsAndAdaptersAreNot() {
    var rule = Adafactor.from(0);
    var v = List.of(new State("v", 127 * 140, true));
    assertThat(state(rule, Role.BACKBONE, 127, 140)).isEqualTo(v);
    assertThat(state(rule, Role.BACKBONE, 150)).isEqualTo(List.of(new State("v", 150, true)));
    assertThat(state(rule, Role.ADAPTER, 128, 130))
        .isEqualTo(List.of(new State("v", 128 * 130, true)));
    assertThat(state(rule, Role.BACKBONE, 2, 128, 128))
        .isEqualTo(List.of(new State("v", 2 * 128 * 128, true)));
    var factored = List.of(new State("v_row", 128, false), new State("v_col", 131, false));
    assertThat(state(rule, Role.BACKBONE, 128, 131)).isEqualTo(factored);
    assertThat(state(rule, Role.BACKBONE, 131, 128)).isEqualTo(factored);
    var never = new Adafactor(0, 0.8, 1, true, Adafactor.NEVER);
    assertThat(state(never, Role.BACKBONE, 1000, 1000)).hasSize(1);
  }

  @Test
  void settingsThatMakeNoSenseAreRefused() {
    assertThatThrownBy(() -> Adafactor.from(-1))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("start_step=-1");
    assertThatThrownBy(() -> new Adafactor(0, 0, 1, true, 128))
        .hasMessageContaining("decay_exponent");
    assertThatThrownBy(() -> new Adafactor(0, 0.8, 0, true, 128))
        .hasMessageContaining("clip_threshold");
    assertThatThrownBy(() -> new Adafactor(0, 0.8, 1, true, 0))
        .hasMessageContaining("min_dim_size_to_factor");
  }
}
