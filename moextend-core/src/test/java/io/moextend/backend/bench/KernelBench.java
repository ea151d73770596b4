package io.moextend.backend.bench;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One kernel on the cpu backend with every core; which one is a parameter. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class KernelBench {
  @Param(TriadBenches.TRIAD)
  public String kernel;

  @Param("BF16")
  public DType dtype;

  @Param("LARGE")
  public Setting.Size size;

  @Param("0")
  public int threads;

  private Backend backend;
  private Bed bed;
  private KernelCase.Call call;

  @Setup(Level.Trial)
  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  public void open() throws Exception {
    int workers = threads > 0 ? threads : Runtime.getRuntime().availableProcessors();
    backend = Backends.open("cpu", new Options(workers, 0));
    useBothTypes();
    bed = new Bed(backend, Setting.of(size, dtype));
    call = KernelCase.named(kernel).prepare().apply(bed);
  }

  /** In a run kernels meet arrays of both types, and the compiler has to know it here too. */
  private void useBothTypes() throws Exception {
    for (DType type : new DType[] {DType.BF16, DType.F32}) {
      try (var tiny = new Bed(backend, Setting.of(Setting.Size.TINY, type))) {
        KernelCase.Call other = KernelCase.named(kernel).prepare().apply(tiny);
        for (int i = 0; i < 200; i++) {
          try (Arena to = backend.arena("call")) {
            other.run(to);
          }
        }
      }
    }
  }

  @Benchmark
  public void run() throws Exception {
    try (Arena to = backend.arena("call")) {
      call.run(to);
    }
  }

  @TearDown(Level.Trial)
  public void close() {
    bed.close();
    backend.close();
  }
}
