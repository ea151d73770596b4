package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AdafactorKernels;

interface PlainAdafactorKernels extends AdafactorKernels {
  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  @Override
  default Array squaresInto(Arena to, Array v, Array gradient, Squares how) {
    double sum = 0;
    for (int i = 0; i < v.size(); i++) {
      double g = how.gradientScale() * of(gradient).get(i);
      of(v).set(i, how.decay() * of(v).get(i) + how.mixing() * (g * g + how.eps()));
      sum += g * g / of(v).get(i);
    }
    Array out = to.allocate(DType.F64, 1);
    of(out).set(0, sum);
    return out;
  }

  @Override
  default void moveInto(Array master, Array v, Array gradient, Array sums, Move how) {
    double rate = how.rate(of(sums).get(0), of(sums).get(1));
    for (int i = 0; i < master.size(); i++) {
      double u = how.gradientScale() * of(gradient).get(i) / Math.sqrt(of(v).get(i));
      of(master).set(i, of(master).get(i) - rate * u);
    }
  }

  @Override
  default Array factoredSquaresInto(
      Arena to, Array rows, Array columns, Array gradient, Squares how) {
    int height = (int) rows.size();
    int width = (int) columns.size();
    double[][] squares = new double[height][width];
    for (int i = 0; i < height; i++) {
      double mean = 0;
      for (int j = 0; j < width; j++) {
        squares[i][j] = Math.pow(how.gradientScale() * of(gradient).get(i, j), 2);
        mean += (squares[i][j] + how.eps()) / width;
      }
      of(rows).set(i, how.decay() * of(rows).get(i) + how.mixing() * mean);
    }
    for (int j = 0; j < width; j++) {
      double mean = 0;
      for (int i = 0; i < height; i++) {
        mean += (squares[i][j] + how.eps()) / height;
      }
      of(columns).set(j, how.decay() * of(columns).get(j) + how.mixing() * mean);
    }
    double sum = 0;
    for (int i = 0; i < height; i++) {
      for (int j = 0; j < width; j++) {
        sum += squares[i][j] / square(rows, columns, i, j);
      }
    }
    Array out = to.allocate(DType.F64, 1);
    of(out).set(0, sum);
    return out;
  }

  @Override
  default void factoredMoveInto(
      Array master, Array rows, Array columns, Array gradient, Array sums, Move how) {
    double rate = how.rate(of(sums).get(0), of(sums).get(1));
    for (int i = 0; i < rows.size(); i++) {
      for (int j = 0; j < columns.size(); j++) {
        double g = how.gradientScale() * of(gradient).get(i, j);
        double u = g / Math.sqrt(square(rows, columns, i, j));
        of(master).set(i, j, of(master).get(i, j) - rate * u);
      }
    }
  }

  /** What rows and columns make of an element. */
  private static double square(Array rows, Array columns, int i, int j) {
    double mean = 0;
    for (int k = 0; k < rows.size(); k++) {
      mean += of(rows).get(k) / rows.size();
    }
    return of(rows).get(i) * of(columns).get(j) / mean;
  }
}
