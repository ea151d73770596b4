package io.moextend.comm.aeron;

import io.aeron.Aeron;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ReceiveChannelEndpointSupplier;
import io.aeron.driver.ThreadingMode;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.agrona.CloseHelper;
import org.agrona.IoUtil;
import org.agrona.concurrent.BackoffIdleStrategy;
import org.jspecify.annotations.Nullable;

/**
 * Aeron's media driver and a client of it in this process, with a folder of their own that only
 * this user can enter.
 */
final class EmbeddedDriver implements AutoCloseable {
  private static final FileAttribute<?> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  /** Within our folder, which Aeron would make anew with everybody's rights. */
  private static final String INNER = "aeron";

  private final Path folder;
  private final MediaDriver driver;
  private final Aeron client;

  private EmbeddedDriver(Path folder, MediaDriver driver, Aeron client) {
    this.folder = folder;
    this.driver = driver;
    this.client = client;
  }

  /**
   * @param gate what looks at datagrams before Aeron does
   * @param report hears of errors inside Aeron, from its threads
   * @param change last word on the settings
   */
  static EmbeddedDriver launch(
      Path folder,
      Tuning tuning,
      @Nullable ReceiveChannelEndpointSupplier gate,
      Consumer<String> report,
      UnaryOperator<MediaDriver.Context> change) {
    MediaDriver.Context context =
        sizes(times(new MediaDriver.Context(), tuning), tuning)
            .aeronDirectoryName(create(folder).resolve(INNER).toString())
            .dirDeleteOnStart(true)
            .dirDeleteOnShutdown(true)
            .threadingMode(ThreadingMode.SHARED)
            .sharedThreadFactory(daemon("aeron-driver"))
            .sharedIdleStrategy(new BackoffIdleStrategy(10, 20, 1_000, 200_000))
            .errorHandler(e -> report.accept("aeron driver in " + folder + ": " + e));
    if (gate != null) {
      context.receiveChannelEndpointSupplier(gate);
    }
    MediaDriver driver = null;
    try {
      driver = MediaDriver.launchEmbedded(change.apply(context));
      return new EmbeddedDriver(folder, driver, connect(folder, tuning, report));
    } catch (RuntimeException e) {
      CloseHelper.quietClose(driver);
      IoUtil.delete(folder.toFile(), true);
      throw e;
    }
  }

  /** A client of the driver whose folder it is. */
  static Aeron connect(Path folder, Tuning tuning, Consumer<String> report) {
    return Aeron.connect(
        new Aeron.Context()
            .aeronDirectoryName(folder.resolve(INNER).toString())
            .driverTimeoutMs(tuning.outlast().toMillis())
            .threadFactory(daemon("aeron-client"))
            .errorHandler(e -> report.accept("aeron client of " + folder + ": " + e)));
  }

  /**
   * Whether a driver of this user's lives in the folder.
   *
   * @param own folder of this rank's driver
   */
  static boolean isUp(Path folder, Path own) {
    Path file = folder.resolve(INNER).resolve("cnc.dat");
    try {
      return Files.exists(file) && Files.getOwner(folder).equals(Files.getOwner(own));
    } catch (IOException e) {
      throw new AeronTransportException("cannot look into " + folder + ": " + e.getMessage(), e);
    }
  }

  Aeron client() {
    return client;
  }

  private static MediaDriver.Context times(MediaDriver.Context context, Tuning tuning) {
    Duration outlast = tuning.outlast();
    long nanos = outlast.toNanos();
    return context
        .driverTimeoutMs(outlast.toMillis())
        .clientLivenessTimeoutNs(nanos)
        .imageLivenessTimeoutNs(nanos)
        .publicationConnectionTimeoutNs(nanos)
        .publicationUnblockTimeoutNs(2 * nanos)
        .publicationLingerTimeoutNs(TimeUnit.SECONDS.toNanos(1))
        .statusMessageTimeoutNs(TimeUnit.MILLISECONDS.toNanos(100))
        .spiesSimulateConnection(false);
  }

  private static MediaDriver.Context sizes(MediaDriver.Context context, Tuning tuning) {
    return context
        .initialWindowLength(tuning.windowBytes())
        .socketRcvbufLength(UdpPorts.receiveBuffer(2 * tuning.windowBytes()))
        .socketSndbufLength(UdpPorts.sendBuffer(tuning.windowBytes()))
        .publicationTermBufferLength(tuning.termBytes())
        .ipcTermBufferLength(tuning.termBytes())
        .termBufferSparseFile(true)
        .ipcMtuLength(Tuning.LONGEST_MTU);
  }

  private static Path create(Path folder) {
    try {
      return Files.createDirectory(folder, OWNER_ONLY);
    } catch (FileAlreadyExistsException e) {
      throw new AeronTransportException(
          "%s is there already; is another run using it? Give a fresh folder, or delete it"
              .formatted(folder),
          e);
    } catch (IOException e) {
      throw new AeronTransportException(
          "cannot create %s (%s); its parent must be a folder that can be written, as /dev/shm"
              .formatted(folder, e.getMessage()),
          e);
    }
  }

  private static ThreadFactory daemon(String name) {
    return task -> Thread.ofPlatform().daemon().name(name).unstarted(task);
  }

  /** Closes both; the folder is deleted. Twice does no harm. */
  @Override
  public void close() {
    CloseHelper.closeAll(client, driver);
    IoUtil.delete(folder.toFile(), true);
  }
}
