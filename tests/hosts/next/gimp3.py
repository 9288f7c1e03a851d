"""Within GIMP 3's batch interpreter: the procedure on an 8-bit and a 16-bit image, saved and opened again."""

import json

from gi.repository import Gegl, Gimp, Gio

FOLDER = "/douga-next"


def call(name, **values):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    for key, value in values.items():
        config.set_property(key.replace("_", "-"), value)
    result = procedure.run(config)
    print(name, result.index(0).value_nick, Gimp.get_pdb().get_last_error() or "", flush=True)


def dump(name, image):
    group = image.get_layers()[0]
    assert group.is_group()
    whole = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    titles = []
    for place, layer in enumerate(group.get_children()):
        titles.append(layer.get_name())
        data = layer.get_buffer().get(whole, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)
        with open(f"{FOLDER}/{name}-{place}.rgba", "wb") as file:
            file.write(bytes(data))
        if (mask := layer.get_mask()) is not None:
            with open(f"{FOLDER}/{name}-mask.y", "wb") as file:
                file.write(bytes(mask.get_buffer().get(whole, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)))
    return titles


found = {}
for name, precision in (("u8", None), ("u16", Gimp.Precision.U16_NON_LINEAR)):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(f"{FOLDER}/frame.png"))
    if precision is not None:
        image.convert_precision(precision)
    call("douga-reconstruct", run_mode=Gimp.RunMode.NONINTERACTIVE, image=image)
    path = Gio.File.new_for_path(f"{FOLDER}/{name}.xcf")
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, path, None)
    again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, path)
    found[name] = {"titles": dump(name, again)}
with open(f"{FOLDER}/gimp3.json", "w") as file:
    json.dump(found, file)
