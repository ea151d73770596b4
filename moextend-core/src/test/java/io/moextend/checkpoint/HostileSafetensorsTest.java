package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HostileSafetensorsTest {
  @TempDir Path folder;

  /** Every header stands before 16 bytes of data. */
  @ParameterizedTest(name = "{1}")
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          this is text | not the JSON
          [] | no JSON object
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} x | not the JSON
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}{} | text behind the header
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]} | not the JSON
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} | Duplicate field 'w'
          {"w":[]} | tensor w: wants an object
          {"w":{"dtype":"F32","shape":[[[[[[[[[[[[4]]]]]]]]]]]],"data_offsets":[0,16]}} | shape holds something other
          {"w":{"dtype":"F8_E4M3","shape":[16],"data_offsets":[0,16]}} | tensor w: dtype F8_E4M3 is not known
          {"w":{"dtype":7,"shape":[16],"data_offsets":[0,16]}} | tensor w: wants dtype as a text
          {"w":{"shape":[16],"data_offsets":[0,16]}} | tensor w: dtype is missing
          {"w":{"dtype":"U8","data_offsets":[0,16]}} | tensor w: shape is missing
          {"w":{"dtype":"U8","shape":[16]}} | tensor w: data_offsets is missing
          {"w":{"dtype":"U8","shape":[16],"data_offsets":[0,16],"stride":[1]}} | tensor w: unknown field stride
          {"w":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}} | tensor w: shape [-4] has a negative size
          {"w":{"dtype":"F32","shape":[-2,-2],"data_offsets":[0,16]}} | has a negative size
          {"w":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}} | tensor w: shape [4611686018427387905] is too large
          {"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}} | is too large for any memory
          {"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,16]}} | shape holds a number beyond 64 bits
          {"w":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}} | shape holds something other
          {"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4],"data_offsets":[0,16]}} | shape has more than 32
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}} | tensor w: data_offsets [16, 0] are no range
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}} | tensor w: data_offsets [-16, 0] are no range
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0,8,16]}} | data_offsets has 3 numbers
          {"w":{"dtype":"F32","shape":[4],"data_offsets":[0]}} | data_offsets has 1 numbers
          {"w":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}} | tensor w: F32 [3] takes 12 bytes, but data_offsets give 16
          {"w":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}} | tensor w: ends at byte 20 of the data, but the file has 16
          {"v":{"dtype":"U8","shape":[10],"data_offsets":[0,10]},"w":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}} | tensor w: overlaps v
          {"v":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"w":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}} | tensor w: overlaps v
          {"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}} | tensor w: 4 unused bytes before it
          {"w":{"dtype":"U8","shape":[12],"data_offsets":[4,16]}} | tensor w: 4 unused bytes before it
          {"w":{"dtype":"U8","shape":[12],"data_offsets":[0,12]}} | 4 bytes behind the last tensor
          {} | 16 bytes behind the last tensor
          {"__metadata__":{"format":1},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} | __metadata__: wants a map of texts
          {"__metadata__":"pt","w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} | __metadata__: wants a map of texts
          {"a\\u001b[31m":{"dtype":"X","shape":[4],"data_offsets":[0,16]}} | tensor a?[31m: dtype X
          """)
  void aHeaderThatLiesIsRefusedByName(String header, String problem) throws IOException {
    Path file = SafetensorsBytes.write(folder.resolve("lies.safetensors"), header, 16);
    assertThatThrownBy(() -> SafetensorsFile.open(file).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("lies.safetensors")
        .hasMessageContaining(problem);
  }

  @ParameterizedTest
  @CsvSource({
    "0, header length 0",
    "-1, 18446744073709551615 is over the limit",
    "100000001, header length 100000001 is over the limit",
    "57, a header of 57 bytes does not fit in a file of 64",
    "99999999, does not fit"
  })
  void aHeaderLengthThatCannotBeIsRefusedBeforeAnythingIsAllocated(long length, String problem)
      throws IOException {
    Path file =
        SafetensorsBytes.raw(
            folder.resolve("long.safetensors"), length, new byte[40], new byte[16]);
    assertThatThrownBy(() -> SafetensorsFile.open(file).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("long.safetensors")
        .hasMessageContaining(problem);
  }

  @ParameterizedTest
  @CsvSource({"0", "1", "7"})
  void aFileShorterThanItsLengthFieldIsCalledCutOff(int bytes) throws IOException {
    Path file = Files.write(folder.resolve("short.safetensors"), new byte[bytes]);
    assertThatThrownBy(() -> SafetensorsFile.open(file).close())
        .hasMessageContaining("%d bytes are too few".formatted(bytes))
        .hasMessageContaining("fetch it again");
  }

  @Test
  void everyCutOfAGoodFileIsRefused() throws IOException {
    byte[] header =
        ("{" + SafetensorsBytes.entry("w", "F32", "[4]", "[0,16]") + "}")
            .getBytes(StandardCharsets.UTF_8);
    Path whole = SafetensorsBytes.write(folder.resolve("whole.safetensors"), header, new byte[16]);
    byte[] bytes = Files.readAllBytes(whole);
    SafetensorsFile.open(whole).close();
    Path cut = folder.resolve("cut.safetensors");
    for (int length = 0; length < bytes.length; length++) {
      Files.write(cut, java.util.Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> SafetensorsFile.open(cut).close())
          .as("cut to %d bytes", length)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("cut.safetensors");
    }
  }

  @Test
  void aHeaderInAnotherEncodingIsRefused() throws IOException {
    String text = "{" + SafetensorsBytes.entry("wé", "F32", "[4]", "[0,16]") + "}";
    for (var charset :
        java.util.List.of(
            StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE, StandardCharsets.ISO_8859_1)) {
      Path file =
          SafetensorsBytes.write(
              folder.resolve("encoded.safetensors"), text.getBytes(charset), new byte[16]);
      assertThatThrownBy(() -> SafetensorsFile.open(file).close())
          .as(charset.name())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("not the JSON");
    }
  }

  @Test
  void aMissingFileIsNamed() {
    assertThatThrownBy(() -> SafetensorsFile.open(folder.resolve("none.safetensors")).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("none.safetensors")
        .hasMessageContaining("NoSuchFile");
  }
}
