package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** How the vector kernels narrow. */
class Bf16RoundingTest {
  private static final long SEED = 4711;

  @Test
  void roundingToBf16IsToNearestEvenAndKeepsNaNAndInfinity() {
    float[] x = new float[64];
    Random random = new Random(SEED);
    for (int i = 0; i < x.length; i++) {
      x[i] = Float.intBitsToFloat(random.nextInt());
    }
    x[3] = Float.intBitsToFloat(0x7fffffff); // a NaN whose rounding would carry
    x[4] = Float.POSITIVE_INFINITY;
    x[5] = Float.intBitsToFloat(0x3f808000); // a tie, down to even
    x[6] = Float.intBitsToFloat(0x3f818000); // a tie, up to even
    short[] bits = new short[64];
    try (Backend backend = Backends.open("cpu", new Options(2, 0));
        var arena = backend.arena("test")) {
      backend.copyOut(backend.floats(arena, DType.BF16, x, 64), MemorySegment.ofArray(bits));
    }
    assertThat(bits[5]).isEqualTo((short) 0x3f80);
    assertThat(bits[6]).isEqualTo((short) 0x3f82);
    for (int i = 0; i < x.length; i++) {
      assertThat(bits[i]).as("%s, seed %d", x[i], SEED).isEqualTo(Floats.bf16(x[i]));
      assertThat(Float.isNaN(Float.intBitsToFloat(bits[i] << 16))).isEqualTo(Float.isNaN(x[i]));
    }
  }
}
