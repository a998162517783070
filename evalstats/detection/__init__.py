"""Detection: average precision of COCO, LVIS, AP-Fixed and AP-Pool, with intervals."""
