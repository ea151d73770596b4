package io.moextend.vision;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.op.Mixture;
import java.util.Arrays;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GridsTest {
  private static double[] of(Mixture mixture, double[] table) {
    double[] out = new double[mixture.results()];
    for (int i = 0; i < mixture.rows().length; i++) {
      out[i / mixture.each()] += mixture.weights()[i] * table[mixture.rows()[i]];
    }
    return out;
  }

  private static double[] counted(int size) {
    double[] values = new double[size];
    Arrays.setAll(values, i -> i);
    return values;
  }

  @ParameterizedTest
  @CsvSource({"4, 7", "37, 27", "5, 5", "1, 3"})
  void weightsOfAPlaceSumToOne(int side, int out) {
    double[] ones = new double[side * side];
    double[] wanted = new double[out * out];
    Arrays.fill(ones, 1);
    Arrays.fill(wanted, 1);
    assertThat(of(Grids.bilinear(side, out), ones)).containsExactly(wanted, Offset.offset(1e-12));
  }

  @Test
  void anOddLastLineFallsAwayWhereTheGridIsHalved() {
    assertThat(of(Grids.halved(3), counted(9))).containsExactly((0 + 1 + 3 + 4) / 4.0);
  }

  @Test
  void tilesAreMeansOfTheImageTheyCameFrom() {
    // a 4 x 4 image as 2 x 2 tiles of 2 x 2, one below the other
    double[] tiles = new double[16];
    double[] image = counted(16);
    for (int y = 0; y < 4; y++) {
      for (int x = 0; x < 4; x++) {
        tiles[((y / 2 * 2 + x / 2) * 2 + y % 2) * 2 + x % 2] = image[4 * y + x];
      }
    }
    assertThat(of(Grids.joinedMeans(2, 2), tiles)).isEqualTo(of(Grids.halved(4), image));
  }

  @Test
  void aNeighbourBeyondTheEdgeIsZero() {
    assertThat(of(Grids.neighbour(2, 1, -1, 0), new double[] {1, 2, 3, 4}))
        .containsExactly(0, 0, 1, 2);
    assertThat(of(Grids.neighbour(3, 2, 1, 1), counted(9))).containsExactly(4, 0, 0, 0);
  }

  @Test
  void threeTimesSmallerIsEachThirdPixelAndOneAndAHalfTimesHasTheKnownWeights() {
    Mixture third = Bicubic.taps(1152, 384);
    double[] ramp = counted(1152);
    double[] small = of(third, ramp);
    for (int i = 0; i < small.length; i++) {
      assertThat(small[i]).isEqualTo(3 * i + 1);
    }
    double[] weights = Bicubic.taps(1152, 768).weights();
    assertThat(Arrays.copyOfRange(weights, 4, 8))
        .containsExactly(-0.03515625, 0.26171875, 0.87890625, -0.10546875);
    assertThat(Arrays.copyOfRange(weights, 8, 12))
        .containsExactly(-0.10546875, 0.87890625, 0.26171875, -0.03515625);
  }
}
