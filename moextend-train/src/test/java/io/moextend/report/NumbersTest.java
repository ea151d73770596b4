package io.moextend.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NumbersTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 1",
    "-2.5, −2.5",
    "3.14159, 3.14",
    "0.0123456, 0.0123",
    "0.00002, 2e-5",
    "-0.00012, −1.2e-4",
    "5423.4, 5423",
    "9999.4, 9999",
    "10000, 10k",
    "57600, 57.6k",
    "999700, 1M",
    "2840000000, 2.84G",
    "NaN, not a number",
    "-Infinity, −infinite"
  })
  void compactNumbersHaveThreeDigitsAndASuffix(double value, String text) {
    assertThat(Numbers.compact(value)).isEqualTo(text);
  }

  @Test
  void whatRoundsToZeroHasNoSign() {
    assertThat(Numbers.signed(-0.04, 1)).isEqualTo("0.0");
    assertThat(Numbers.signed(0.04, 1)).isEqualTo("0.0");
    assertThat(Numbers.signed(0.06, 1)).isEqualTo("+0.1");
    assertThat(Numbers.signed(-0.06, 1)).isEqualTo("−0.1");
  }

  @Test
  void ticksAreRoundAndInside() {
    assertThat(Axis.over(0, 1, false, 0, 100).ticks().stream().map(Numbers::compact))
        .containsExactly("0", "0.2", "0.4", "0.6", "0.8", "1");
    assertThat(Axis.over(0.9, 5.4, false, 0, 100).ticks()).containsExactly(1.0, 2.0, 3.0, 4.0, 5.0);
    assertThat(Axis.over(1, 1e12, true, 0, 100).ticks().stream().map(Numbers::compact))
        .containsExactly("1", "100", "10k", "1M", "100M", "10G", "1T");
  }

  @Test
  void anAxisOverOneValueStillHasTwoEnds() {
    for (boolean isLog : List.of(false, true)) {
      Axis axis = Axis.over(3, 3, isLog, 0, 100);
      assertThat(axis.at(3)).isBetween(49.0, 51.0);
      assertThat(axis.ticks()).isNotEmpty();
    }
  }
}
