package io.moextend.backend.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.AdafactorKernels;
import io.moextend.backend.AdapterKernels;
import io.moextend.backend.AttentionKernels;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.ElementKernels;
import io.moextend.backend.HostCopies;
import io.moextend.backend.LossKernels;
import io.moextend.backend.MatrixKernels;
import io.moextend.backend.NormKernels;
import io.moextend.backend.RoutingKernels;
import io.moextend.backend.RowKernels;
import io.moextend.backend.UpdateKernels;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every kernel has a bench, and every bench times the kernel it is named after. */
class KernelBenchTest {
  /** What {@link Backend} has beside kernels: it says what it is, or takes no time. */
  private static final Set<String> NO_KERNELS =
      Set.of(
          "name",
          "device",
          "computeTypes",
          "memory",
          "arena",
          "wrap",
          "over",
          "frozenCast",
          "synchronize",
          "close");

  @Test
  void noKernelOfABackendIsWithoutABench() {
    Set<String> timed =
        KernelCase.all().map(KernelCase::kernel).collect(Collectors.toCollection(TreeSet::new));
    timed.remove(TriadBenches.TRIAD);
    assertThat(kernels()).isNotEmpty().isEqualTo(timed);
  }

  @Test
  void everyThemeOfABackendIsAskedForItsKernels() {
    assertThat(Backend.class.getInterfaces())
        .containsExactlyInAnyOrder(
            MatrixKernels.class,
            NormKernels.class,
            ElementKernels.class,
            RowKernels.class,
            AttentionKernels.class,
            RoutingKernels.class,
            LossKernels.class,
            UpdateKernels.class,
            AdapterKernels.class,
            AdafactorKernels.class,
            HostCopies.class,
            AutoCloseable.class);
  }

  @Test
  void namesOfBenchesAreTheirOwn() {
    assertThat(KernelCase.all().map(KernelCase::name)).doesNotHaveDuplicates();
  }

  @TestFactory
  Stream<DynamicTest> aBenchRunsAndCallsItsKernel() {
    return Stream.of(DType.F32, DType.BF16)
        .flatMap(
            type ->
                KernelCase.all()
                    .filter(c -> !c.name().equals(TriadBenches.TRIAD))
                    .map(c -> dynamicTest(type + " " + c.name(), () -> calls(c, type))));
  }

  @SuppressWarnings("MustBeClosedChecker") // the watched backend is closed as what it watches
  private static void calls(KernelCase kernel, DType type) throws Exception {
    var called = new TreeSet<String>();
    var setting = Setting.of(Setting.Size.TINY, type);
    try (Backend cpu = Backends.open("cpu", new Options(2, 0));
        Arena to = cpu.arena("call");
        var bed = new Bed(watched(cpu, called), setting)) {
      KernelCase.Call call = kernel.prepare().apply(bed);
      called.clear();
      call.run(to);
    }
    assertThat(called).contains(kernel.kernel());
    assertThat(kernel.work().applyAsLong(setting)).isPositive();
    assertThat(kernel.shape().apply(setting)).isNotEmpty();
  }

  private static Set<String> kernels() {
    return Arrays.stream(Backend.class.getMethods())
        .filter(m -> !Modifier.isStatic(m.getModifiers()))
        .map(Method::getName)
        .filter(name -> !NO_KERNELS.contains(name))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static Backend watched(Backend backend, Set<String> called) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (proxy, method, arguments) -> {
              called.add(method.getName());
              try {
                return method.invoke(backend, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
